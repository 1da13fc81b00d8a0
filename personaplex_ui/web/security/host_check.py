"""Keeps other sites from passing for ours by DNS rebinding, where no password does.

A page of ``evil.example`` can have its name resolve to this machine; to the browser both are then one site.
What gives it away is its name in ``Host``. A name passes that nobody outside can own (addresses, names
without a dot, names kept for private networks), and one that we were told. Any other one passes only with
signs that no such page can show: that the browser came over https (a page without our certificate cannot),
or that a reverse proxy passed the request on.
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
"""Of names that the public DNS does not have."""

SENTENCE = (
    "This server does not know itself by the name {host}. If the name is right, whoever runs the server "
    "should set SERVER_URL to its address, or APP_PASSWORD."
)


class HostCheck:
    """An ASGI middleware; inside of the one that reads addresses, which refuses what is not a host.

    ``server_url`` and ``allowed_origins``: addresses whose hosts are known; ``*`` for all.
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
            return False  # a page, and not over https
        # Browsers send the first to https alone, and no script can add it or change the second. The third
        # a script can add, but only to a request that changes nothing: with any other comes its origin.
        is_secure = "sec-fetch-site" in headers or origin.startswith("https:")
        return is_secure or any(name in headers for name in FORWARDING)

    def _knows(self, host: str) -> bool:
        """``host``: perhaps with a port."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:  # brackets that are not closed
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
