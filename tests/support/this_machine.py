"""Keeps the tests on this machine: looking up or connecting to another host is refused, and fails the test.

Servers that tests start are processes of their own, which this does not watch.
"""

import ipaddress
import socket
import sys
from typing import Any

refused: list[str] = []
"""Hosts that were asked for: what asked may have caught the error."""


def refuse_other_hosts() -> None:
    """From now on, for good: Python cannot take an audit hook back."""
    sys.addaudithook(_refuse_other_hosts)


def _refuse_other_hosts(event: str, args: tuple[Any, ...]) -> None:
    if not event.startswith("socket."):  # it is called for each import and each opened file, too
        return
    match event, args:
        case "socket.getaddrinfo", (str() | bytes() as given, *_):
            host = given if isinstance(given, str) else given.decode()
            allowed = host.endswith(".invalid") or _address(host) is not None
        case "socket.connect", (socket.socket(type=socket.SOCK_STREAM), (str() as host, *_)):
            address = _address(host)
            allowed = address is not None and address.is_loopback
        case _:
            return
    if not allowed and host not in ("", "localhost"):
        refused.append(host)
        raise ConnectionRefusedError(f"A test asked for {host!r}, but tests stay on this machine.")


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
