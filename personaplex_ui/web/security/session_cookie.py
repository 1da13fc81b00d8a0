"""The browser's cookie: a random key that makes a visitor the owner of their calls but identifies nobody.

The ASGI middleware sets it with the page, and removes requests to other hosts from the page.
"""

import re
import secrets
from collections.abc import Mapping

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from personaplex_ui.compat.gradio import without_foreign_hosts
from personaplex_ui.web.security.proxy_headers import cookie_site

COOKIE = "personaplex_visitor"
COOKIE_SEC = 365 * 86_400
KEY_PATTERN = re.compile(r"[A-Za-z0-9_-]{43}")


def session_key(cookies: Mapping[str, str]) -> str:
    """The visitor's key, or an empty string if the browser sent none or a malformed one."""
    key = cookies.get(COOKIE, "")
    return key if KEY_PATTERN.fullmatch(key) else ""


class SessionCookieMiddleware:
    """Gives each visitor of the page a key, and strips foreign hosts from the page's HTML."""

    def __init__(self, app: ASGIApp, page: str = "/") -> None:
        self._app = app
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != self._page or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        start: Message | None = None
        body = b""

        async def rewrite(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start" and _is_html(message):
                start = message
                return
            if message["type"] != "http.response.body" or start is None:
                await send(message)
                return
            body += message.get("body", b"")
            if message.get("more_body"):
                return
            page = without_foreign_hosts(body)
            headers = MutableHeaders(raw=start["headers"])
            headers["content-length"] = str(len(page))
            connection = HTTPConnection(scope)
            if not session_key(connection.cookies):
                key = secrets.token_urlsafe(32)
                cookie = f"{COOKIE}={key}; Path=/; HttpOnly; Max-Age={COOKIE_SEC}{cookie_site(connection)}"
                headers.append("set-cookie", cookie)
            await send(start)
            await send({"type": "http.response.body", "body": page})

        await self._app(scope, receive, rewrite)


def _is_html(start: Message) -> bool:
    return MutableHeaders(raw=start["headers"]).get("content-type", "").startswith("text/html")
