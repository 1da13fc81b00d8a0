"""What a page is told of its call over the websocket, and what it sends: the messages of its data channel,
carried by metadata (04). It also tells how much sound has come, so that none piles up on a slow network.

Depends on a call and a function that sends, not on a socket.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable, Mapping

from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.calls.snapshot import Phase, Snapshot
from personaplex_ui.channels.browser.facts import WAIT_TOLD_EVERY_SEC, FactsFeed
from personaplex_ui.channels.browser.following import complaint, follow
from personaplex_ui.channels.browser.messages import MessageLimit
from personaplex_ui.errors import PersonaplexError, ProtocolError

OVER_WITHIN_SEC = 1.0
MOST_UNHEARD_FRAMES = 20
"""1.6 s that the page has not confirmed. A network that is too slow then gets less, and the call drops its
oldest sound; else the lag would grow with all that the network's buffers hold."""

LOOK_FOR_END_EVERY_SEC = 0.2

Send = Callable[[Mapping[str, object]], Awaitable[None]]
WaitEstimator = Callable[[Snapshot], float | None]
"""How long the caller whose call it shows still waits, if that can be said."""


class PageChannel:
    """One page's. ``tell_changes`` and ``tell_wait`` run alongside the connection."""

    def __init__(self, call: LiveCall, send: Send, wait_sec: WaitEstimator) -> None:
        self._call = call
        self._send = send
        self._wait_sec = wait_sec
        self._feed = FactsFeed()
        self._limit = MessageLimit(time.monotonic)
        self._sent_frames = 0
        self._heard_frames: int | None = None
        """None for a page that does not tell."""
        self._heard_more = asyncio.Event()

    async def tell_changes(self) -> None:
        """Until the call ends."""
        async for _ in self._call.watch():
            await self._tell()

    async def tell_wait(self) -> None:
        """While the call waits: it changes only with its place, but the guess of the wait with time."""
        while self._call.phase is Phase.WAITING:
            await asyncio.sleep(WAIT_TOLD_EVERY_SEC)
            await self._tell()

    async def tell_end(self) -> None:
        """The last facts, which say why."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(OVER_WITHIN_SEC):
                await self._call.over.wait()
        await self._tell()

    async def _tell(self) -> None:
        snapshot = self._call.snapshot()
        if news := self._feed.news(snapshot, self._call.conversation, self._wait_sec(snapshot)):
            await self._send(news)

    # Sound on its way ------------------------------------------------------------------------------

    async def wait_for_room(self) -> None:
        """Until the page has heard enough of what was sent, or the call is over."""
        while not self._call.over.is_set() and not self._has_room:
            self._heard_more.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_FOR_END_EVERY_SEC):
                    await self._heard_more.wait()

    @property
    def _has_room(self) -> bool:
        return self._heard_frames is None or self._sent_frames - self._heard_frames < MOST_UNHEARD_FRAMES

    def sent(self) -> None:
        """One more frame is on its way."""
        self._sent_frames += 1

    # From the page ---------------------------------------------------------------------------------

    async def take(self, values: Mapping[str, object]) -> None:
        """One message of the page. What cannot be done is answered with a sentence."""
        try:
            if values.get("type") == "ping":
                await self._answer_ping(values)
            elif self._limit.admit():
                await follow(json.dumps(values), self._call)
        except PersonaplexError as error:
            await self._send(complaint(error))

    async def _answer_ping(self, values: Mapping[str, object]) -> None:
        at, heard = values.get("at"), values.get("heard")
        if not isinstance(at, int | float) or not isinstance(heard, int):
            raise ProtocolError("A ping has the numbers at and heard.")
        self._heard_frames = heard
        self._heard_more.set()
        await self._send({"type": "pong", "at": at})
