"""How much one network address may send us, and how large a body may be.

An ASGI middleware that counts bodies as they arrive, however they are cut. It knows paths and bytes, and
nothing of what is in them.
"""

import asyncio
import contextlib
import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from personaplex_ui.web.security.proxy_headers import client_address

MB = 1_000_000
UPLOADS = ("/gradio_api/upload", "/gradio_api/upload/")
MAX_OTHER_BYTES = 128 * 1024
"""Values of the page and of clients: the longest role, escaped, takes 24,000."""
UNCOUNTED_BYTES = 64 * 1024
"""A body that is no upload counts only from this size on."""
WINDOW_SEC = 3600.0
STEP_SEC = 60.0
MAX_QUERY_BYTES = 200
MOST_VALUES = 5_000
"""Commas and brackets of a body that is no upload. 128 KiB of ``[],[],`` stop the event loop for 100 ms, and
keep 6 MB while they wait in Gradio's queue. A role may be 2,000 commas."""

NEXT_PART_WITHIN_SEC = 30.0
OTHER_WITHIN_SEC = 20.0
"""All of a body that is no upload; only the time counts in which it is waited for."""
UPLOAD_GRACE_SEC = 30.0
LEAST_BYTES_PER_SEC = 2_048
"""Of an upload, after the grace, on average: 64 MB may take nine hours, but not for ever."""
MOST_ADDRESSES = 10_000
"""Beyond it, those that sent nothing for the longest time are forgotten."""
LINGER_SEC = 3.0
TOO_LARGE = "That is too large for a request. Files go to /gradio_api/upload; anything else is under 128 KB."
TOO_MANY_VALUES = "That is too many values for a request. Send fewer at once."
TOO_SLOW = "The request did not arrive in time. Please try again, perhaps with a better connection."


class ByteBudget:
    """At most ``most`` bytes of one address within an hour; 0: no limit, as for the empty address."""

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self.most = most
        self._clock = clock
        self._sent: OrderedDict[str, deque[tuple[float, int]]] = OrderedDict()

    def left(self, address: str) -> float:
        """Bytes that ``address`` may still send now."""
        if not address or not self.most:
            return math.inf
        sent = self._sent.get(address, deque())
        while sent and sent[0][0] + WINDOW_SEC <= self._clock():
            sent.popleft()
        if not sent:
            self._sent.pop(address, None)
        return self.most - sum(size for _, size in sent)

    def wait_sec(self, address: str) -> int:
        """Seconds until some of what ``address`` sent is forgotten."""
        sent = self._sent.get(address)
        return max(1, math.ceil(sent[0][0] + WINDOW_SEC - self._clock())) if sent else 1

    def add(self, address: str, size: int) -> None:
        """``address`` sent so many bytes."""
        if not address or not self.most or not size:
            return
        # By the minute, so that an address takes 61 entries at most.
        minute = self._clock() // STEP_SEC * STEP_SEC
        sent = self._sent.setdefault(address, deque())
        if sent and sent[-1][0] == minute:
            size += sent.pop()[1]
        sent.append((minute, size))
        self._sent.move_to_end(address)
        while len(self._sent) > MOST_ADDRESSES or self._oldest() + WINDOW_SEC <= minute:
            self._sent.popitem(last=False)

    def __len__(self) -> int:
        """Addresses that are remembered."""
        return len(self._sent)

    def _oldest(self) -> float:
        return next(iter(self._sent.values()))[-1][0]


@dataclass(frozen=True, slots=True)
class _Refusal:
    status: int
    sentence: str
    wait_sec: int = 0


class _Body:
    """One request's body, as far as it has arrived."""

    def __init__(self, budget: ByteBudget, address: str, is_upload: bool) -> None:
        self._budget = budget
        self._address = address
        self._is_upload = is_upload
        self._size = 0
        self._counted = 0
        self._values = 0
        self._waited_sec = 0.0

    def patience_sec(self) -> float:
        """How long the next part may be waited for."""
        if not self._is_upload:
            return min(NEXT_PART_WITHIN_SEC, OTHER_WITHIN_SEC - self._waited_sec)
        earned_sec = UPLOAD_GRACE_SEC + self._size / LEAST_BYTES_PER_SEC
        return min(NEXT_PART_WITHIN_SEC, earned_sec - self._waited_sec)

    def waited(self, sec: float) -> None:
        self._waited_sec += sec

    def announce(self, size: int) -> _Refusal | None:
        """What to say to a body that will have ``size`` bytes."""
        if not self._is_upload and size > MAX_OTHER_BYTES:
            return _Refusal(413, TOO_LARGE)
        if self._counts(size) and size > self._budget.left(self._address):
            return self._over()
        return None

    def take(self, part: bytes) -> _Refusal | None:
        """What to say now that so much more has arrived."""
        self._size += len(part)
        if not self._is_upload:
            self._values += part.count(b",") + part.count(b"[") + part.count(b"{")
            if self._size > MAX_OTHER_BYTES:
                return _Refusal(413, TOO_LARGE)
            if self._values > MOST_VALUES:
                return _Refusal(413, TOO_MANY_VALUES)
        if self._counts(self._size):
            self._budget.add(self._address, self._size - self._counted)
            self._counted = self._size
            if self._budget.left(self._address) < 0:
                return self._over()
        return None

    def close(self) -> None:
        """The request is over. An upload counts with a least size, since each leaves something behind."""
        if self._is_upload:
            self._budget.add(self._address, max(0, UNCOUNTED_BYTES - self._counted))

    def _counts(self, size: int) -> bool:
        return self._is_upload or size >= UNCOUNTED_BYTES

    def _over(self) -> _Refusal:
        wait_sec = self._budget.wait_sec(self._address)
        return _Refusal(
            429,
            f"That is more than your network may upload within an hour ({self._budget.most // MB} MB). "
            f"Please try again in {math.ceil(wait_sec / 60)} minutes, or with a smaller file.",
            wait_sec,
        )


class UploadLimit:
    """``mb_per_hour``: of one network address; 0 for no limit. ``clock``: seconds."""

    def __init__(self, app: ASGIApp, mb_per_hour: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._clock = clock
        self._budget = ByteBudget(mb_per_hour * MB, clock)

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
            refusal = _Refusal(413, TOO_LARGE)  # Gradio keeps the name of an upload that is in it
        has_begun = is_complete = False

        async def counted() -> Message:
            nonlocal refusal, is_complete
            if is_complete:
                return await receive()  # the client's leaving
            left: Message = {"type": "http.disconnect"}
            message = left if refusal else await self._next(receive, body)
            if message is None:
                refusal, message = _Refusal(408, TOO_SLOW), left
            if message["type"] == "http.request":
                refusal = body.take(message.get("body", b""))
                is_complete = not message.get("more_body", False)
            if is_upload and (refusal or message["type"] == "http.disconnect"):
                # Gradio removes what it has written so far for this alone.
                raise MultiPartException("The upload ended early.")
            # To the app it is as if the client had left in the middle.
            return {"type": "http.disconnect"} if refusal else message

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
            await _refuse(refusal, receive, send)

    async def _next(self, receive: Receive, body: _Body) -> Message | None:
        """The next part of a body; None of one that comes too slowly."""
        patience_sec, began = body.patience_sec(), self._clock()
        if patience_sec <= 0.0:
            return None
        try:
            async with asyncio.timeout(patience_sec):
                return await receive()
        except TimeoutError:
            return None
        finally:
            body.waited(self._clock() - began)


async def _refuse(refusal: _Refusal, receive: Receive, send: Send) -> None:
    headers = {"Retry-After": str(refusal.wait_sec)} if refusal.wait_sec else None
    answer = PlainTextResponse(refusal.sentence, refusal.status, headers)
    await send({"type": "http.response.start", "status": answer.status_code, "headers": answer.raw_headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": True})
    # Closed at once, the connection would be reset before a client that still sends has read the answer.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SEC):
            while (await receive()).get("more_body", False):
                pass
    await send({"type": "http.response.body", "body": b""})
