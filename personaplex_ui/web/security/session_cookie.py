"""The browser's cookie: a random key that makes a visitor the owner of their calls. It identifies nobody.

An ASGI middleware that also keeps the page from asking other hosts for anything.
"""

import re
import secrets
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "personaplex_visitor"
KEY_PATTERN = re.compile(r"[A-Za-z0-9_-]{43}")

# Gradio's page asks Google for a connection it does not use, cdnjs for a script that only embedding pages
# need, and the root of the host, which may be another app's, for a manifest that is not there.
FOREIGN = re.compile(
    rb'<link[^>]+rel="manifest"[^>]*>'
    rb"|<link[^>]+(?:fonts\.googleapis\.com|fonts\.gstatic\.com)[^>]*>"
    rb"|<script[^>]+cdnjs\.cloudflare\.com[^>]*>\s*</script>"
)


def visitor_key(cookies: Mapping[str, str]) -> str:
    """The visitor's key, or an empty text when the browser sent none (or a forged shape)."""
    key = cookies.get(COOKIE, "")
    return key if KEY_PATTERN.fullmatch(key) else ""


class VisitorMiddleware:
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
            page = FOREIGN.sub(b"", body)
            headers = MutableHeaders(raw=start["headers"])
            headers["content-length"] = str(len(page))
            if not _has_key(scope):
                headers.append("set-cookie", _new_cookie(scope))
            await send(start)
            await send({"type": "http.response.body", "body": page})

        await self._app(scope, receive, rewrite)


def _is_html(start: Message) -> bool:
    return Headers(raw=start["headers"]).get("content-type", "").startswith("text/html")


def _has_key(scope: Scope) -> bool:
    # Starlette's parser takes what browsers send; the standard library's gives up at the first odd cookie.
    return bool(visitor_key(cookie_parser(Headers(scope=scope).get("cookie", ""))))


def _new_cookie(scope: Scope) -> str:
    cookie = f"{COOKIE}={secrets.token_urlsafe(32)}; Path=/; HttpOnly; Max-Age=31536000"
    # Of several proxies the first one is the browser's.
    forwarded = Headers(scope=scope).get("x-forwarded-proto", "").split(",")[0].strip()
    secure = "https" in (scope["scheme"], forwarded)
    # A Space is shown inside a frame of another site: there only a partitioned cookie is kept.
    return cookie + ("; SameSite=None; Secure; Partitioned" if secure else "; SameSite=Lax")
