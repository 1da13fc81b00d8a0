"""Limits request bodies: bytes per network address and hour, size of a body, and how slowly it may arrive.

The ASGI middleware counts bodies as they arrive, in chunks of any size. It depends on paths and bytes, not on
their content.
"""

import asyncio
import contextlib
import math
import time
from collections.abc import Callable

from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from personaplex_ui.sliding_window import SlidingWindow
from personaplex_ui.web.security.proxy_headers import client_address

MB = 1_000_000
SOUND_UPLOADS = ("/api/v1/transcribe", "/api/v1/conversation", "/api/v1/conversation/stream")
UPLOADS = ("/gradio_api/upload", "/gradio_api/upload/", *SOUND_UPLOADS)
MAX_OTHER_BYTES = 128 * 1024
"""For values of the page and of clients; the longest role takes 24,000 when escaped."""
UNCOUNTED_BYTES = 64 * 1024
"""Other bodies than uploads count only from this size on."""
WINDOW_SEC = 3600.0
STEP_SEC = 60.0
"""Bytes within one step expire together, so that an address takes at most 61 entries."""
MAX_QUERY_BYTES = 200
MOST_VALUES = 5_000
"""Limit for commas and brackets in a body that is not an upload. 128 KiB of ``[],[],`` block the event loop
for 100 ms and take 6 MB in Gradio's queue. A role may be 2,000 commas."""

NEXT_PART_WITHIN_SEC = 30.0
OTHER_WITHIN_SEC = 20.0
"""For a whole body that is not an upload; only the time spent waiting for it counts."""
UPLOAD_GRACE_SEC = 30.0
LEAST_BYTES_PER_SEC = 2_048
"""Minimum average rate of an upload after the grace period: 64 MB may take at most nine hours."""
LINGER_SEC = 3.0
TOO_LARGE = "The request is too large. Send files to /gradio_api/upload; anything else must be under 128 KB."
TOO_MANY_VALUES = "The request has too many values. Send fewer at once."
TOO_SLOW = "The request did not arrive in time. Please try again, perhaps with a better connection."


class _Body:
    """The part of one request's body that has arrived. ``budget``: of its address; None for no limit."""

    def __init__(self, budget: SlidingWindow | None, address: str, is_upload: bool) -> None:
        self._budget = budget if address else None
        self._address = address
        self._is_upload = is_upload
        self._size = 0
        self._counted = 0
        self._values = 0
        self.waited_sec = 0.0

    def patience_sec(self) -> float:
        """How long to wait for the next part."""
        earned_sec = UPLOAD_GRACE_SEC + self._size / LEAST_BYTES_PER_SEC
        in_all_sec = earned_sec if self._is_upload else OTHER_WITHIN_SEC
        return min(NEXT_PART_WITHIN_SEC, in_all_sec - self.waited_sec)

    def announce(self, size: int) -> PlainTextResponse | None:
        """The refusal of a body that will have ``size`` bytes, or None if it is accepted."""
        if not self._is_upload and size > MAX_OTHER_BYTES:
            return PlainTextResponse(TOO_LARGE, 413)
        if self._budget and self._counts(size) and size > self._budget.left(self._address):
            return _over(self._budget, self._address)
        return None

    def take(self, part: bytes) -> PlainTextResponse | None:
        """Count ``part``, which has arrived; returns the refusal of the rest, or None."""
        self._size += len(part)
        if not self._is_upload:
            self._values += part.count(b",") + part.count(b"[") + part.count(b"{")
            if self._size > MAX_OTHER_BYTES:
                return PlainTextResponse(TOO_LARGE, 413)
            if self._values > MOST_VALUES:
                return PlainTextResponse(TOO_MANY_VALUES, 413)
        if self._budget and self._counts(self._size):
            self._count(self._size)
            if self._budget.left(self._address) < 0:
                return _over(self._budget, self._address)
        return None

    def close(self) -> None:
        """The request is over. An upload counts with a minimum size, since each leaves something behind."""
        if self._is_upload:
            self._count(UNCOUNTED_BYTES)

    def _counts(self, size: int) -> bool:
        return self._is_upload or size >= UNCOUNTED_BYTES

    def _count(self, size: int) -> None:
        """Charge the budget up to ``size`` bytes."""
        if self._budget and size > self._counted:
            self._budget.add(self._address, size - self._counted)
            self._counted = size


def _over(budget: SlidingWindow, address: str) -> PlainTextResponse:
    wait_sec = max(1, math.ceil(budget.wait_sec(address)))
    sentence = (
        f"Your network may upload at most {budget.most // MB} MB within an hour. "
        f"Please try again in {math.ceil(wait_sec / 60)} minutes, or with a smaller file."
    )
    return PlainTextResponse(sentence, 429, {"Retry-After": str(wait_sec)})


class UploadLimit:
    """``mb_per_hour``: limit per network address; 0 for no limit. ``clock``: seconds."""

    def __init__(self, app: ASGIApp, mb_per_hour: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._clock = clock
        self._budget = SlidingWindow(mb_per_hour * MB, WINDOW_SEC, clock, STEP_SEC) if mb_per_hour else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        is_upload = scope["path"] in UPLOADS
        body = _Body(self._budget, client_address(connection), is_upload)
        announced = connection.headers.get("content-length", "")
        refusal = body.announce(int(announced)) if announced.isdecimal() else None
        if is_upload and len(scope["query_string"]) > MAX_QUERY_BYTES:
            refusal = PlainTextResponse(TOO_LARGE, 413)  # Gradio keeps the upload's name from the query
        has_begun = is_complete = False

        async def counted() -> Message:
            nonlocal refusal, is_complete
            if is_complete:
                return await receive()  # the client's disconnect
            message = None if refusal else await self._next(receive, body)
            if message is None:
                refusal = refusal or PlainTextResponse(TOO_SLOW, 408)
            elif message["type"] == "http.request":
                refusal = body.take(message.get("body", b""))
                is_complete = not message.get("more_body", False)
            # For the app it looks as if the client had disconnected.
            if refusal or message is None:
                message = {"type": "http.disconnect"}
            if is_upload and message["type"] == "http.disconnect":
                # Only for this exception does Gradio remove what it has written so far.
                raise MultiPartException("The upload ended early.")
            return message

        async def unless_refused(message: Message) -> None:
            nonlocal has_begun
            if has_begun or not refusal:
                has_begun = True
                await send(message)

        if refusal is None:
            try:
                await self._app(scope, counted, unless_refused)
            except (ClientDisconnect, MultiPartException):
                if refusal is None:
                    raise
        body.close()
        if refusal is not None and not has_begun:
            await send_lingering(refusal, receive, send)

    async def _next(self, receive: Receive, body: _Body) -> Message | None:
        """The next part of a body, or None if it comes too slowly."""
        patience_sec, began = body.patience_sec(), self._clock()
        if patience_sec <= 0.0:
            return None
        try:
            async with asyncio.timeout(patience_sec):
                return await receive()
        except TimeoutError:
            return None
        finally:
            body.waited_sec += self._clock() - began


async def send_lingering(refusal: Response, receive: Receive, send: Send) -> None:
    """If it closed at once, a client that is still sending would see a reset before it read the answer."""
    await send({"type": "http.response.start", "status": refusal.status_code, "headers": refusal.raw_headers})
    await send({"type": "http.response.body", "body": refusal.body, "more_body": True})
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SEC):
            while (await receive()).get("more_body", False):
                pass
    await send({"type": "http.response.body", "body": b""})
