"""How many requests and websockets may be in progress, in all and of one address, and what a head may hold.

An ASGI middleware that knows heads and counts, and nothing of bodies. ``/health`` is always answered.
Connections that have sent no request yet are limited before it (``connection_limits``).
"""

from collections import Counter

from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from personaplex_ui.web.security.proxy_headers import client_address
from personaplex_ui.web.security.uploads import UPLOADS

MAX_HEADERS = 100
OF_ONE_ADDRESS = 128
"""An open page holds about six; an office behind one address has some twenty pages open."""

UPLOADS_AT_ONCE = 32
UPLOADS_OF_ONE_ADDRESS = 8
ALWAYS_ANSWERED = ("/health",)
RETRY_AFTER_SEC = 5

BUSY = "This server has as many requests in progress as it can take. Please try again in a few seconds."
TOO_MANY = "Your network has too many requests in progress here. Please close some pages or try again later."
UPLOADING = "Too many files are being uploaded at once. Please try again in a few seconds."
HEAD_TOO_LARGE = "The request has too many headers. Please check the client or the proxy that sends them."
OTHER_HTTP = "Only HTTP/1.0 and HTTP/1.1 are spoken here."


class RequestLimits:
    """``most``: requests and websockets in progress at once."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most
        self._all = Counter[str]()
        self._uploads = Counter[str]()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or scope["path"] in ALWAYS_ANSWERED:
            await self._app(scope, receive, send)
            return
        address = client_address(HTTPConnection(scope))
        is_upload = scope["path"] in UPLOADS
        if refusal := self._refusal(scope, address, is_upload):
            await _refuse(refusal, scope, receive, send)
            return
        counters = (self._all, self._uploads) if is_upload else (self._all,)
        for counter in counters:
            counter[address] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            for counter in counters:
                counter[address] -= 1
                if not counter[address]:
                    del counter[address]

    def _refusal(self, scope: Scope, address: str, is_upload: bool) -> tuple[int, str] | None:
        if scope.get("http_version", "1.1") not in ("1.0", "1.1"):
            return 505, OTHER_HTTP
        if len(scope["headers"]) > MAX_HEADERS:
            return 431, HEAD_TOO_LARGE
        if self._all.total() >= self._most:
            return 503, BUSY
        if address and self._all[address] >= OF_ONE_ADDRESS:
            return 429, TOO_MANY
        if is_upload and self._uploads.total() >= UPLOADS_AT_ONCE:
            return 503, UPLOADING
        if is_upload and address and self._uploads[address] >= UPLOADS_OF_ONE_ADDRESS:
            return 429, UPLOADING
        return None


async def _refuse(refusal: tuple[int, str], scope: Scope, receive: Receive, send: Send) -> None:
    status, sentence = refusal
    answer = PlainTextResponse(sentence, status, {"Retry-After": str(RETRY_AFTER_SEC), "Connection": "close"})
    await answer(scope, receive, send)  # a websocket's handshake is answered with it too
