"""Where the server listens, and what it says when it cannot."""

import errno
import socket

import pytest

from personaplex_ui.app.sockets import listen
from personaplex_ui.errors import SettingsError

HOSTS = ["127.0.0.1", "0.0.0.0", "localhost"]


@pytest.mark.parametrize("host", HOSTS)
def test_a_port_that_is_in_use_is_refused(host: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError) as refused:
            listen(host, port)
    assert str(refused.value) == f"Port {port} is in use; stop what uses it, or set PORT to another."


@pytest.mark.parametrize("host", HOSTS)
def test_a_port_that_a_server_has_just_left_is_used(host: str) -> None:
    with socket.socket() as left:
        left.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        left.bind(("127.0.0.1", 0))
        left.listen()
        port = left.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            left.accept()[0].close()  # the server's side closes first, so the port waits for late packets
    for bound in listen(host, port):
        bound.close()


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid", "a..b", "::ffff:1:2:3"])
def test_a_host_that_is_not_this_machine_is_refused(host: str) -> None:
    with pytest.raises(SettingsError) as refused:
        listen(host, 7860)
    assert str(refused.value).startswith(f"HOST is {host!r}, which is not an address of this machine. Set it")


def test_a_port_for_the_system_alone_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def bind(self: socket.socket, address: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", bind)  # root may listen at every port
    with pytest.raises(SettingsError, match=r"^PORT is 80, but this user may not listen there\. Set it to"):
        listen("127.0.0.1", 80)
