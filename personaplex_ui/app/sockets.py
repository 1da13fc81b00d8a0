"""The sockets the server listens on, or a sentence that says why there are none.

Depends on addresses and ports of this machine, not on what is served there.
"""

import contextlib
import errno
import os
import socket

from personaplex_ui.errors import SettingsError

ANY_IPV6, ANY_IPV4 = "::", "0.0.0.0"

REFUSALS = {
    errno.EADDRINUSE: "Port {port} is in use; stop what uses it, or set PORT to another.",
    errno.EACCES: "PORT is {port}, but this user may not listen there. Set it to 1024 or above.",
}


def listen(host: str, port: int) -> list[socket.socket]:
    """A bound socket for each address of ``host``, not yet listening. ``::`` includes IPv4.

    Raises:
        SettingsError: the port is in use or not allowed for this user, or the host is not this machine.
    """
    with contextlib.ExitStack() as on_failure:
        sockets: list[socket.socket] = []
        for family, address in _addresses(host, port):
            try:
                bound = _bound(family, address, both=bare_host(host) == ANY_IPV6)
            except OSError as error:  # of several addresses, those that this machine lacks are skipped
                if error.errno in REFUSALS:
                    raise SettingsError(REFUSALS[error.errno].format(port=port)) from error
            else:
                sockets.append(on_failure.enter_context(bound))
        if not sockets:
            raise SettingsError(
                f"HOST is {host!r}, which is not an address of this machine. "
                "Set it to 0.0.0.0 for all of them, or to 127.0.0.1 for this machine alone."
            )
        on_failure.pop_all()
    return sockets


def _bound(family: socket.AddressFamily, address: tuple[object, ...], both: bool) -> socket.socket:
    # The protocol must be named: otherwise asyncio leaves Nagle's algorithm on, and answers are 40 ms late.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # as asyncio does; elsewhere it has another meaning
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not both)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, tuple[object, ...]]]:
    try:
        found = socket.getaddrinfo(bare_host(host), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


def bare_host(host: str) -> str:
    """``host`` without the brackets that a URL puts around an IPv6 address."""
    return host.removeprefix("[").removesuffix("]")


def address_shown(host: str, port: int) -> str:
    """The address to open in a browser on this machine."""
    name = bare_host(host)
    if name in (ANY_IPV4, ANY_IPV6):
        name = "localhost"
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"
