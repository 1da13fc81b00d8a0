"""HOST=:: is both kinds of addresses, and the log says where the app can be reached."""

import asyncio
import socket
from pathlib import Path

import httpx
import pytest

from personaplex_ui.app.sockets import address_shown, listen
from personaplex_ui.errors import SettingsError
from tests.support.app_process import running_app


def reaches(address: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(5)
        return client.connect_ex((address, port)) == 0


@pytest.mark.parametrize(
    ("host", "ipv4", "ipv6"),
    [
        ("::", True, True),
        ("[::]", True, True),
        ("0.0.0.0", True, False),
        ("127.0.0.1", True, False),
        ("::1", False, True),
        ("[::1]", False, True),
    ],
)
def test_what_a_host_means(host: str, ipv4: bool, ipv6: bool) -> None:
    (bound,) = listen(host, 0)
    with bound:
        bound.listen()
        port = bound.getsockname()[1]
        assert (reaches("127.0.0.1", port), reaches("::1", port)) == (ipv4, ipv6)


@pytest.mark.parametrize(
    ("host", "reached"), [("127.0.0.1", "127.0.0.1"), ("::", "::1"), ("::", "127.0.0.1")]
)
async def test_what_is_sent_leaves_at_once(host: str, reached: str) -> None:
    """Nagle's algorithm keeps small packets back: frames of sound on websockets, events of the page."""
    no_delay: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def accepted(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        no_delay.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    (bound,) = listen(host, 0)
    port = bound.getsockname()[1]
    async with await asyncio.start_server(accepted, sock=bound):
        _, writer = await asyncio.open_connection(reached, port)
        assert await no_delay
        writer.close()


def test_a_port_that_ipv4_has_is_in_use_for_both() -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        with pytest.raises(SettingsError, match="is in use"):
            listen("::", taken.getsockname()[1])


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("0.0.0.0", "http://localhost:7860"),
        ("::", "http://localhost:7860"),
        ("[::]", "http://localhost:7860"),
        ("127.0.0.1", "http://127.0.0.1:7860"),
        ("::1", "http://[::1]:7860"),
        ("voice.example.org", "http://voice.example.org:7860"),
    ],
)
def test_the_log_names_an_address_that_answers(host: str, shown: str) -> None:
    assert address_shown(host, 7860) == shown


def test_the_app_answers_at_both(tmp_path: Path) -> None:
    with running_app(tmp_path, HOST="::") as app:
        assert httpx.get(f"http://[::1]:{app.port}/health").status_code == 200
        assert httpx.get(f"http://127.0.0.1:{app.port}/health").status_code == 200
        assert f"http://localhost:{app.port}" in app.log
