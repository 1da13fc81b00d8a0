"""Finds where a request really comes from, and the public address of this server.

Depends on the connection's peer, the headers of reverse proxies and the trusted proxies. Nobody else is
trusted: ``X-Forwarded-For`` from elsewhere is ignored, and the ``Host`` header never becomes part of a public
address.
"""

import ipaddress
import logging
import re
from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeAlias

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

log = logging.getLogger(__name__)

Ip: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

SCOPE_KEY = "personaplex_ui.provenance"
SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
FORWARDING = ("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "forwarded")
IPV6_GROUP_BITS = 64
"""A provider gives each customer at least a /64, so changing addresses within one does not help."""

# Python's ``is_private`` also includes documentation and other ranges; proxies use these.
PRIVATE: tuple[Network, ...] = tuple(
    ipaddress.ip_network(network)
    for network in (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10"),
        *("fc00::/7", "fe80::/10"),
    )
)
HOST = re.compile(r"([A-Za-z0-9_.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?")


_current: ContextVar[str] = ContextVar("client_address", default="")


def current_address() -> str:
    """``client_address`` of the current request, for code that gets no request."""
    return _current.get()


@dataclass(frozen=True, slots=True)
class Provenance:
    """``client``: the caller's full address, or None if unknown. ``scheme``: http, https or empty.

    ``host``: the host requested from a trusted proxy, with a port unless it is the default, or empty.
    ``unknown_proxy``: the peer forwards requests but is not a trusted proxy.
    """

    client: Ip | None
    scheme: str = ""
    host: str = ""
    unknown_proxy: bool = False


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Parse ``127.0.0.1``, ``10.0.0.0/8``, ``::1``.

    Raises:
        ValueError: one is neither an address nor a network.
    """
    return tuple(ipaddress.ip_network(text.strip(), strict=False) for text in texts)


def parse_ip(text: str) -> Ip | None:
    """Parse an address as proxies write it, with optional port, brackets, quotes or zone; None if invalid."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, ipaddress.IPv6Address) else address


def trace(peer: str, headers: Headers, trusted: Sequence[Network]) -> Provenance:
    """The origin of a request whose peer is ``peer``. Pure; never raises, whatever the headers contain."""
    address = parse_ip(peer)
    forwards = any(name in headers for name in FORWARDING)
    if address is None or not _within(address, trusted):
        hidden = forwards and address is not None and (address.is_loopback or _within(address, PRIVATE))
        return Provenance(None if hidden else address, unknown_proxy=hidden)
    client: Ip | None = None  # None: the proxy's own request, or it does not name the client
    hops = 1
    for text in reversed(_values(headers, "x-forwarded-for")):
        client = parse_ip(text)
        if client is None or not _within(client, trusted):
            break
        hops += 1
    scheme = SCHEMES.get(_outermost(_values(headers, "x-forwarded-proto"), hops).lower(), "")
    host = _outermost(_values(headers, "x-forwarded-host"), hops)
    return Provenance(client, scheme, host.lower() if HOST.fullmatch(host) else "")


def group(address: Ip | None) -> str:
    """The key under which limits count ``address``; empty for unknown addresses and the loopback."""
    if address is None or address.is_loopback or address.is_unspecified:
        return ""
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((int(address), IPV6_GROUP_BITS), strict=False))
    return str(address)


def _within(address: Ip, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)


def _values(headers: Headers, name: str) -> list[str]:
    return [value.strip() for line in headers.getlist(name) for value in line.split(",") if value.strip()]


def _outermost(values: list[str], hops: int) -> str:
    """The value from the outermost of ``hops`` trusted proxies, if each appends; earlier ones are
    untrusted."""
    return values[-min(hops, len(values))] if values else ""


class ProxyHeaders:
    """Puts the true client and scheme into the scope, for HTTP and websockets. Wrap it around all middleware.

    ``server_url``: the public URL of this server, if configured. ``trusted_proxies``: addresses and networks.

    Raises:
        ValueError: one of them is neither an address nor a network.
    """

    def __init__(self, app: ASGIApp, server_url: str | None, trusted_proxies: Iterable[str]) -> None:
        self._app = app
        self._server_url = server_url.rstrip("/") if server_url else None
        self._trusted = parse_networks(trusted_proxies)
        self._warned = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            host = Headers(scope=scope).get("host", "")
            if host and not HOST.fullmatch(host):
                await _refuse(scope, receive, send)
                return
            self._read(scope)
        await self._app(scope, receive, send)

    def _read(self, scope: Scope) -> None:
        client = scope.get("client")
        found = trace(client[0] if client else "", Headers(scope=scope), self._trusted)
        if found.unknown_proxy and not self._warned:
            self._warned = True
            log.warning("Requests come through a proxy at a private address; set TRUSTED_PROXIES.")
        if found.client is not None and client and found.client != parse_ip(client[0]):
            scope["client"] = (str(found.client), 0)
        if found.scheme:
            is_websocket = scope["type"] == "websocket"
            scope["scheme"] = found.scheme.replace("http", "ws") if is_websocket else found.scheme
        forwarded = f"{found.scheme}://{found.host}" if found.scheme and found.host else None
        _current.set(group(found.client))
        scope[SCOPE_KEY] = (group(found.client), self._server_url or forwarded, found.host)


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """The host becomes part of URLs, and libraries fail on a malformed one."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": ""})
        return
    answer = PlainTextResponse("The Host header is malformed. Please check the address.", 400)
    await answer(scope, receive, send)


def client_address(connection: HTTPConnection) -> str:
    """The key that limits count by: an IPv4 address or an IPv6 /64 network; empty if no limit applies."""
    return _told(connection)[0]


def public_url(connection: HTTPConnection) -> str | None:
    """The public URL of this server, without a trailing slash; None if no trusted source gave it."""
    return _told(connection)[1]


def forwarded_host(connection: HTTPConnection) -> str:
    """The host requested from a trusted proxy, or an empty string."""
    return _told(connection)[2]


def cookie_site(connection: HTTPConnection) -> str:
    """The cookie attributes that say on which sites it is sent. A Space is shown in another site's frame,
    where browsers keep only partitioned cookies, which need https.

    The header counts here even from an unknown proxy: a client that lies only gets a cookie it cannot use.
    """
    said = connection.headers.get("x-forwarded-proto", "").split(",")[0].strip().lower()
    is_encrypted = connection.scope["scheme"] in ("https", "wss") or said == "https"
    return "; SameSite=None; Secure; Partitioned" if is_encrypted else "; SameSite=Lax"


def _told(connection: HTTPConnection) -> tuple[str, str | None, str]:
    told: tuple[str, str | None, str] = connection.scope.get(SCOPE_KEY, ("", None, ""))
    return told
