"""Limits requests and websockets in progress, in total and per address, and the number of headers.

The ASGI middleware looks at headers and counts, not at bodies. ``/health`` and ``/capacity`` are always
answered. ``connection_limits`` limits connections that have not sent a request yet.
"""

from collections import Counter

from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from personaplex_ui.web.security.proxy_headers import client_address
from personaplex_ui.web.security.uploads import UPLOADS

MAX_HEADERS = 100
OF_ONE_ADDRESS = 128
"""An open page has about six; an office behind one address may have twenty pages open."""

UPLOADS_AT_ONCE = 32
UPLOADS_OF_ONE_ADDRESS = 8
ALWAYS_ANSWERED = ("/health", "/capacity")
RETRY_AFTER_SEC = 5

BUSY = "This server is handling as many requests as it can. Please try again in a few seconds."
TOO_MANY = "Your network has too many requests in progress here. Please close some pages or try again later."
UPLOADING = "Too many files are being uploaded at once. Please try again in a few seconds."
HEAD_TOO_LARGE = "The request has too many headers. Please check the client or the proxy that sends them."
OTHER_HTTP = "This server supports only HTTP/1.0 and HTTP/1.1."


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
            status, sentence = refusal
            headers = {"Retry-After": str(RETRY_AFTER_SEC), "Connection": "close"}
            # This also answers a websocket's handshake.
            await PlainTextResponse(sentence, status, headers)(scope, receive, send)
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
        """The status and the sentence, or None if the request is accepted."""
        of_address = self._all[address] if address else 0
        uploads_of_address = self._uploads[address] if address else 0
        reasons = (
            (scope.get("http_version", "1.1") not in ("1.0", "1.1"), 505, OTHER_HTTP),
            (len(scope["headers"]) > MAX_HEADERS, 431, HEAD_TOO_LARGE),
            (self._all.total() >= self._most, 503, BUSY),
            (of_address >= OF_ONE_ADDRESS, 429, TOO_MANY),
            (is_upload and self._uploads.total() >= UPLOADS_AT_ONCE, 503, UPLOADING),
            (is_upload and uploads_of_address >= UPLOADS_OF_ONE_ADDRESS, 429, UPLOADING),
        )
        return next(((status, sentence) for applies, status, sentence in reasons if applies), None)
