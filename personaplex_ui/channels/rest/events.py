"""Server-sent events: what they look like, keep-alives between them, and an end when the client goes."""

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from personaplex_ui.audio.files.clip_file import to_pcm16, wav_header
from personaplex_ui.audio.frames import Samples
from personaplex_ui.errors import PersonaplexError

KEEP_ALIVE_SEC = 10.0
KEEP_ALIVE = b": keep-alive\n\n"
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
EVENTS_AHEAD = 48
"""Events that wait for a client that reads slowly: a whole answer (12 MB), so that the work does not wait."""


def event(name: str, data: dict[str, Any]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def failure_event(error: PersonaplexError) -> bytes:
    return event("error", {"detail": str(error), "error": error.code})


def wav_in_base64(samples: Samples) -> str:
    """``samples`` as a WAV of 16 bits, 24 kHz, mono."""
    sound = to_pcm16(samples).tobytes()
    return base64.b64encode(wav_header(1, len(sound)) + sound).decode("ascii")


class EventStream(StreamingResponse):
    """``events``, until they end or the client goes; then they are closed, and ``closed`` is called.
    ``unless_closed``: awaits what it is given, or raises PersonaplexError at the end of the app."""

    def __init__(
        self,
        events: AsyncGenerator[bytes],
        closed: Callable[[], Awaitable[None]],
        unless_closed: Callable[[Coroutine[Any, Any, None]], Awaitable[None]],
        keep_alive_sec: float = KEEP_ALIVE_SEC,
    ) -> None:
        self._ready: asyncio.Queue[bytes | None] = asyncio.Queue(EVENTS_AHEAD)
        self._events = events
        self._closed = closed
        self._unless_closed = unless_closed
        self._keep_alive_sec = keep_alive_sec
        super().__init__(self._with_keep_alives(), media_type="text/event-stream", headers=HEADERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # A task of its own, so that its cancellation is not the one of the connection, which would not let it
        # wait for anything any more.
        source = asyncio.create_task(self._make())
        try:
            await super().__call__(scope, receive, send)
        finally:
            source.cancel()
            await asyncio.gather(source, return_exceptions=True)
            await self._closed()

    async def _make(self) -> None:
        try:
            await self._unless_closed(self._pass_on())
        except PersonaplexError as error:
            await self._ready.put(failure_event(error))
        await self._ready.put(None)

    async def _pass_on(self) -> None:
        try:
            async for told in self._events:
                await self._ready.put(told)
        finally:
            await self._events.aclose()

    async def _with_keep_alives(self) -> AsyncIterator[bytes]:
        """A comment whenever nothing came for a while: proxies close silent connections."""
        while True:
            try:
                async with asyncio.timeout(self._keep_alive_sec):
                    told = await self._ready.get()
            except TimeoutError:
                yield KEEP_ALIVE
                continue
            if told is None:
                return
            yield told
