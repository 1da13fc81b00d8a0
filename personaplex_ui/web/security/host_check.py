"""Prevents DNS rebinding where no password protects the server.

A page of ``evil.example`` can make its name resolve to this machine; for the browser both are then one site.
The ``Host`` header reveals this. Names that nobody outside can own are accepted (addresses, names without a
dot, names reserved for private networks), and so are configured names. Any other name is accepted only with
proof that no such page can give: the browser used https (impossible without our certificate), or a reverse
proxy forwarded the request.
"""

import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from personaplex_ui.web.security.proxy_headers import FORWARDING

PRIVATE_ENDINGS = (
    *(".localhost", ".local", ".localdomain", ".lan", ".home", ".home.arpa", ".internal", ".intranet"),
    *(".private", ".corp", ".test"),
)
"""Endings of names that do not exist in the public DNS."""

SENTENCE = (
    "This server does not know the host name {host}. If it is correct, whoever runs the server "
    "should set SERVER_URL to its address, or APP_PASSWORD."
)


class HostCheck:
    """An ASGI middleware inside ``ProxyHeaders``, which refuses malformed hosts.

    ``server_url`` and ``allowed_origins``: URLs whose hosts are accepted; ``*`` for all.
    """

    def __init__(self, app: ASGIApp, server_url: str | None, allowed_origins: Iterable[str]) -> None:
        self._app = app
        origins = set(allowed_origins)
        self._all = "*" in origins
        told = [urlsplit(url).hostname for url in ((server_url or ""), *origins)]
        self._names = {name.lower() for name in (*told, socket.gethostname()) if name}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or self._admits(HTTPConnection(scope)):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": ""})
        else:
            sentence = SENTENCE.format(host=HTTPConnection(scope).headers.get("host", ""))
            await JSONResponse({"detail": sentence}, 421)(scope, receive, send)

    def _admits(self, connection: HTTPConnection) -> bool:
        headers = connection.headers
        if self._all or self._knows(headers.get("host", "")):
            return True
        origin = headers.get("origin", "").lower()
        page = origin.partition("://")[2]
        if origin and not origin.startswith("https:") and not (page and self._knows(page)):
            return False  # a page without https
        # Browsers send the first only over https, and no script can add it or change the second. A script can
        # add the third, but only to a request that changes nothing: any other carries its origin.
        is_secure = "sec-fetch-site" in headers or origin.startswith("https:")
        return is_secure or any(name in headers for name in FORWARDING)

    def _knows(self, host: str) -> bool:
        """``host``: optionally with a port."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:  # unclosed brackets
            return False
        return (
            not name.strip(".").count(".")
            or name in self._names
            or name.rstrip(".").endswith(PRIVATE_ENDINGS)
            or _is_address(name)
        )


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True
