"""Opens calls, tracks those in progress, and has the ended ones kept for their owners."""

import asyncio
import contextlib
import contextvars
import functools
import logging
import time
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

from personaplex_ui.audio.recording.recorder import RecordingWriter
from personaplex_ui.calls.allowance import SHORTEST_CALL_SEC, Allowance, Visitor
from personaplex_ui.calls.call import Call
from personaplex_ui.calls.call_keeper import CallKeeper
from personaplex_ui.calls.call_length import CallLength
from personaplex_ui.calls.call_reports import CallReports
from personaplex_ui.calls.captions import OWN_WORDS, Captions
from personaplex_ui.calls.clip_call import ClipCall
from personaplex_ui.calls.cues import Cues
from personaplex_ui.calls.fair_lines import FairLines
from personaplex_ui.calls.limits import AddressLimits
from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.calls.quiet_end import QuietEnd
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.snapshot import End, Transport
from personaplex_ui.calls.sound_watch import SoundWatch, WatchedSound
from personaplex_ui.calls.store import CallStore
from personaplex_ui.engine.engine import Engine, EngineState
from personaplex_ui.errors import EngineUnavailable, PersonaplexError
from personaplex_ui.logs.call_context import enter_call
from personaplex_ui.voices.library import shown_voice

log = logging.getLogger(__name__)

EXPIRE_EVERY_SEC = 600.0
CALLS_END_WITHIN_SEC = 2.5
RECORDING_CLOSES_WITHIN_SEC = 1.0
"""Together with the wait for calls this is under 5 s, the longest that a shutdown may take."""

LAST_WORDS_WITHIN_SEC = 3.0
"""How long a call that has ended waits for its caller's last words to be recognised: a page waits for it."""

SHUTS_DOWN = "The server is shutting down. Please call again in a minute."

T = TypeVar("T")


class CallManager:
    """Owns every call from ``open`` until it is in the store."""

    def __init__(
        self,
        engine: Engine,
        store: CallStore,
        max_call_sec: float,
        limits: AddressLimits | None = None,
        allowance: Allowance | None = None,
        busy_call_sec: float = 0.0,
        captions: Captions = OWN_WORDS,
        cues: Cues | None = None,
    ) -> None:
        """``busy_call_sec``: the longest call of a visitor while others wait; 0 for ``max_call_sec``.
        ``captions``: where the callers' words come from; ``cues``: those of calls that are opened without
        their own."""
        self.engine = engine
        self.store = store
        self.reports = CallReports(store)
        self.calls: dict[str, Call] = {}
        self.cues = cues or Cues()
        self.on_begin: list[Callable[[Call], None]] = []
        """Called with each call when it was opened, on the event loop, before it waits for a slot."""
        self.on_end: list[Callable[[Call], None]] = []
        """Called with each call after its end, on the event loop."""
        self.on_refusal: list[Callable[[Transport], None]] = []
        """Called for each caller who was turned away before a call began."""
        self.opening: list[Callable[[], int]] = []
        """How many callers each channel has answered whose calls are not open yet."""
        self.at_work = 0
        """Requests being answered that are no calls, whose calls have ended, or that lead to calls; counted
        by who answers them."""
        self.quiet_end = QuietEnd(self.calls)
        self.captions = captions
        self.limits = limits or AddressLimits(0, 0, time.monotonic)
        self.allowance = allowance or Allowance(0, time.time)
        self._max_call_sec = max_call_sec
        self._fair_lines = FairLines(engine.slots, max_call_sec, busy_call_sec, self.quiet_end.limit)
        self.sound_watch = SoundWatch()
        self._writer = RecordingWriter()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._janitor: asyncio.Task[None] | None = None
        self._closed = asyncio.Event()

    @property
    def closed_because(self) -> str:
        """Why no more calls are accepted; empty while they still are."""
        return self._shuts_down_because or self.quiet_end.sentence

    @property
    def closed_to_answered(self) -> str:
        """Why not even those may begin a call who were answered before the quiet end began, and were told
        that they would be connected; empty while they may. They do not wait for a line."""
        if self.quiet_end.left_sec and self.engine.slots.free:
            return self._shuts_down_because
        return self.closed_because

    @property
    def _shuts_down_because(self) -> str:
        health = self.engine.health
        return health.message if health.state is EngineState.DRAINING else ""

    @property
    def state(self) -> EngineState:
        """The engine's, or that it takes no calls any more, though it still answers."""
        return EngineState.DRAINING if self.quiet_end.is_on else self.engine.state

    @property
    def message(self) -> str:
        """Why no calls can be taken; empty while they can."""
        return self.closed_because or self.engine.health.message

    @property
    def is_closed(self) -> bool:
        """Whether all calls were ended for good."""
        return self._closed.is_set()

    @property
    def is_idle(self) -> bool:
        """Whether nobody is served: no call goes on, is still to be kept, or is about to begin since its
        caller was answered, and no request is worked on."""
        return not self._tasks and not self.at_work and not self.answered

    @property
    def answered(self) -> int:
        """Callers who were answered and whose calls are not open yet."""
        return sum(count() for count in self.opening)

    @property
    def opening_calls(self) -> int:
        """Callers who have no line yet, though they do not wait for one."""
        return sum(call.is_opening for call in self.calls.values()) + self.answered

    async def start(self) -> None:
        """Repair what a crash left behind, then expire old recordings every ten minutes."""
        await asyncio.to_thread(self.store.load)
        await asyncio.to_thread(self.allowance.load)
        self._janitor = asyncio.create_task(self._expire())
        self.sound_watch.start()

    async def _expire(self) -> None:
        while True:
            await asyncio.to_thread(self.store.expire, time.time())
            await asyncio.sleep(EXPIRE_EVERY_SEC)

    async def close(self, reason: str = SHUTS_DOWN) -> None:
        """Tell every caller why, end all calls and accept no more; returns when the recordings are closed."""
        self.engine.health.drain(reason)
        self._closed.set()
        if self._janitor is not None:
            self._janitor.cancel()
        for call in self.calls.values():
            call.hang_up(reason, End.SHUTDOWN)
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=CALLS_END_WITHIN_SEC)
        await self.reports.close()
        self.sound_watch.close()
        await asyncio.to_thread(self._writer.close, RECORDING_CLOSES_WITHIN_SEC)

    def open(
        self,
        settings: CallSettings,
        owner: str = "",
        transport: Transport = Transport.BROWSER,
        address: str = "",
        visitor: Visitor | None = None,
        cues: Cues | None = None,
        answered: bool = False,
    ) -> LiveCall:
        """Begin a live call, which requests a slot at once. ``owner``: the key with which it can be fetched
        later, if any. ``address``: the network address to limit, if it is known. ``visitor``: whose minutes
        it uses; None for telephones and those with a key, whose calls are as long as ever, too. ``cues``:
        those of its persona, in the place of ``self.cues``. ``answered``: the caller was told before that
        the call would begin, so that it may during a quiet end, too.

        Raises:
            TooManyCalls: ``address`` has reached a limit.
            MinutesUsedUp: ``visitor`` has none left today.
            EngineUnavailable: the server is shutting down.
        """
        self._admit(transport, address, visitor, answered=answered)
        call_id = self.store.new_call_id()
        keeper = CallKeeper(self.store, self._writer, owner, call_id)
        length = self._fair_lines.length(call_id, self.allowance, visitor)
        sound = self.sound_watch.watch(call_id)
        call = LiveCall(
            call_id,
            settings,
            self.engine,
            self._max_call_sec,
            functools.partial(keeper.start_recording, settings),
            transport,
            length=length,
            captions=self.captions,
            cues=self.cues if cues is None else cues,
            sound=sound,
        )
        self._begin(call, self._live(call, keeper, length, sound), address, visitor)
        return call

    async def _live(
        self, call: LiveCall, keeper: CallKeeper, length: CallLength, sound: WatchedSound
    ) -> None:
        try:
            await call.run()
            length.spend(call.elapsed_sec)
            if not call.live.is_set():
                return
            recorded = await call.close_recording(RECORDING_CLOSES_WITHIN_SEC)
            with contextlib.suppress(EngineUnavailable):
                await self.unless_closed(call.words_settled(LAST_WORDS_WITHIN_SEC))
            await keeper.keep(call, recorded)
        finally:
            sound.close()
            call.give_up_words()

    def open_clip(
        self,
        settings: CallSettings,
        address: str = "",
        visitor: Visitor | None = None,
        sound_sec: float = SHORTEST_CALL_SEC,
    ) -> ClipCall:
        """Like ``open``, for the answer to a recording of ``sound_sec``; nothing of it is stored."""
        self._admit(Transport.CLIP, address, visitor, sound_sec)
        call = ClipCall(self.store.new_call_id(), settings, self.engine, self.captions, self.cues)

        async def run() -> None:
            await call.run()
            self.allowance.spend(visitor, call.elapsed_sec)

        self._begin(call, run(), address, visitor)
        return call

    def _admit(
        self,
        transport: Transport,
        address: str,
        visitor: Visitor | None,
        wanted_sec: float = SHORTEST_CALL_SEC,
        answered: bool = False,
    ) -> None:
        try:
            if why_not := self.closed_to_answered if answered else self.closed_because:
                raise EngineUnavailable(why_not)
            self.allowance.check(visitor, wanted_sec)
            self.limits.admit(address)
        except PersonaplexError:
            self.turn_away(transport)
            raise

    def _begin(
        self, call: Call, life: Coroutine[Any, Any, None], address: str, visitor: Visitor | None
    ) -> None:
        self.calls[call.call_id] = call
        for listener in self.on_begin:
            listener(call)
        if visitor is not None:
            self._fair_lines.add(call)
        # Runs in a context of its own: a transport's context variables (FastRTC's hold the whole peer
        # connection) would otherwise live as long as anything refers to the ended call.
        context, name = contextvars.Context(), f"call {call.call_id[:6]}"
        task = asyncio.create_task(self._serve(call, life, address, visitor), name=name, context=context)
        self._tasks[call.call_id] = task
        task.add_done_callback(lambda _: self._tasks.pop(call.call_id))

    async def _serve(
        self, call: Call, life: Coroutine[Any, Any, None], address: str, visitor: Visitor | None
    ) -> None:
        enter_call(call.call_id)
        voice = shown_voice(call.settings.persona.voice)
        log.info("A %s call began (voice %s).", call.transport.value, voice)
        try:
            await life
        finally:
            self.calls.pop(call.call_id, None)
            self._fair_lines.remove(call)
            self.limits.release(address)
            log.info("The call ended after %.1f s: %s", call.elapsed_sec, call.reason)
            if call.stats.lost_packets:
                log.info(
                    "%d of the caller's packets were lost (%d of them late), and %d were concealed.",
                    call.stats.lost_packets,
                    call.stats.late_packets,
                    call.stats.concealed_packets,
                )
            for listener in self.on_end:
                listener(call)
            if visitor is not None and self.allowance.day_sec:
                await asyncio.to_thread(self.allowance.save, self.allowance.used_by(visitor))

    async def unless_closed(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of ``work`` that belongs to a call, such as reading a clip first; cancelled at shutdown.

        Raises:
            EngineUnavailable: the server is shutting down.
        """
        task, closed = asyncio.ensure_future(work), asyncio.ensure_future(self._closed.wait())
        try:
            await asyncio.wait([task, closed], return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise EngineUnavailable(self.closed_because)
            return task.result()
        finally:
            task.cancel()
            closed.cancel()

    @contextlib.contextmanager
    def working(self) -> Generator[None]:
        """Within this context, a request is at work."""
        self.at_work += 1
        try:
            yield
        finally:
            self.at_work -= 1

    def turn_away(self, transport: Transport) -> None:
        """Count a caller who gets no call."""
        for listener in self.on_refusal:
            listener(transport)

    async def ended(self, call: Call) -> None:
        """Wait until ``call`` is in the store (recording closed)."""
        if call.call_id in self._tasks:
            await asyncio.wait([self._tasks[call.call_id]])
