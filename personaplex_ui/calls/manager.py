"""Opens calls, knows the ones that are going on, and keeps what is left of them for their owners."""

import asyncio
import contextvars
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ
from personaplex_ui.audio.recording.recorder import RecordingWriter, StereoRecording
from personaplex_ui.calls.call import Call
from personaplex_ui.calls.limits import AddressLimits
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.snapshot import End, EndedCall, Transport
from personaplex_ui.calls.store import CallStore
from personaplex_ui.engine.engine import Engine, EngineState
from personaplex_ui.errors import EngineUnavailable, PersonaplexError
from personaplex_ui.logs.call_context import enter_call
from personaplex_ui.voices.library import shown_voice

log = logging.getLogger(__name__)

EXPIRE_EVERY_SEC = 600.0
CALLS_END_WITHIN_SEC = 2.5
RECORDING_CLOSES_WITHIN_SEC = 1.0
"""Together with the wait for calls under 5 s: so long a shutdown may take, whatever the disk does."""


T = TypeVar("T")


class CallManager:
    """Owns every call from ``open`` until it is in the archive."""

    def __init__(
        self, engine: Engine, archive: CallStore, max_call_sec: float, limits: AddressLimits | None = None
    ) -> None:
        self.engine = engine
        self.archive = archive
        self.calls: dict[str, Call] = {}
        self.on_end: list[Callable[[Call], None]] = []
        """Called with each call after its end, on the event loop."""
        self.on_refusal: list[Callable[[Transport], None]] = []
        """Called for each caller who was turned away before there was a call."""
        self.limits = limits or AddressLimits(0, 0, time.monotonic)
        self._max_call_sec = max_call_sec
        self._writer = RecordingWriter()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._janitor: asyncio.Task[None] | None = None
        self._closed = asyncio.Event()

    @property
    def closed_because(self) -> str:
        """Why no calls will be taken any more; empty as long as some may be."""
        health = self.engine.health
        return health.message if health.state is EngineState.DRAINING else ""

    async def start(self) -> None:
        """Repair what a crash left, then expire old recordings every ten minutes."""
        await asyncio.to_thread(self.archive.load)
        self._janitor = asyncio.create_task(self._expire())

    async def close(
        self, reason: str = "The server is shutting down. Please call again in a minute."
    ) -> None:
        """End all calls with words, and take no more; returns when their recordings are closed."""
        self.engine.health.drain(reason)
        self._closed.set()
        if self._janitor is not None:
            self._janitor.cancel()
        for call in self.calls.values():
            call.hang_up(reason, End.SHUTDOWN)
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=CALLS_END_WITHIN_SEC)
        await asyncio.to_thread(self._writer.close, RECORDING_CLOSES_WITHIN_SEC)

    def open(
        self,
        settings: CallSettings,
        owner: str = "",
        paced: bool = True,
        transport: Transport = Transport.BROWSER,
        address: str = "",
    ) -> Call:
        """Begin a call; it asks for a line at once. ``owner``: the key of who may fetch it later, if any.
        ``address``: where it comes from, if that is known and may count.

        Raises:
            TooManyCalls: from that address, now.
            EngineUnavailable: the server is shutting down.
        """
        try:
            if self.closed_because:
                raise EngineUnavailable(self.closed_because)
            self.limits.admit(address)
        except PersonaplexError:
            self.turn_away(transport)
            raise
        call_id = self.archive.new_call_id()
        voice = shown_voice(settings.persona.voice)
        started_at = time.time()

        def start_recording() -> StereoRecording | None:
            if not (settings.record and paced and owner):
                return None
            begun = asyncio.get_running_loop().run_in_executor(
                None, self.archive.begin, owner, call_id, started_at, voice
            )
            begun.add_done_callback(_log_failure)
            return StereoRecording(self.archive.recording_path(call_id), self._writer)

        call = Call(
            call_id, settings, self.engine, self._max_call_sec, start_recording, paced, transport=transport
        )
        self.calls[call_id] = call
        # In a context of its own: a transport's context variables (FastRTC's hold the whole peer connection)
        # would live as long as anybody still looks at the ended call.
        context = contextvars.Context()
        run = self._run(call, owner, started_at, address)
        task = asyncio.create_task(run, name=f"call {call_id[:6]}", context=context)
        self._tasks[call_id] = task
        task.add_done_callback(lambda _: self._tasks.pop(call_id))
        return call

    async def unless_closed(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of ``work`` around a call, as the reading of a clip before it; cancelled at the end of
        all calls.

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

    def turn_away(self, transport: Transport) -> None:
        """Count a caller for whom there will be no call."""
        for told in self.on_refusal:
            told(transport)

    async def ended(self, call: Call) -> None:
        """Wait until ``call`` is in the archive (recording closed)."""
        if call.call_id in self._tasks:
            await asyncio.wait([self._tasks[call.call_id]])

    async def _run(self, call: Call, owner: str, started_at: float, address: str) -> None:
        enter_call(call.call_id)
        log.info(
            "A %s call began (voice %s).", call.transport.value, shown_voice(call.settings.persona.voice)
        )
        try:
            await call.run()
            if call.live.is_set() and owner:
                await self._keep(call, owner, started_at)
        finally:
            self.calls.pop(call.call_id, None)
            self.limits.release(address)
            log.info("The call ended after %.1f s: %s", call.elapsed_sec, call.reason)
            figures = call.snapshot().figures
            if figures.lost_packets:
                log.info(
                    "Of the caller's packets %d were lost, %d of them late; %d were concealed.",
                    figures.lost_packets,
                    figures.late_packets,
                    figures.concealed_packets,
                )
            for told in self.on_end:
                told(call)

    async def _keep(self, call: Call, owner: str, started_at: float) -> None:
        recorded = await self._close_recording(call)
        snapshot = call.snapshot()
        ended = EndedCall(
            call_id=call.call_id,
            started_at=started_at,
            duration_sec=snapshot.elapsed_sec,
            voice=shown_voice(call.settings.persona.voice),
            reason=call.reason,
            notes=tuple(call.notes),
            lines=snapshot.lines,
            caller_levels_dbfs=call.caller_levels.until(snapshot.elapsed_sec),
            assistant_levels_dbfs=call.assistant_levels.until(snapshot.elapsed_sec),
            recorded=recorded,
            figures=snapshot.figures,
        )
        await asyncio.to_thread(self.archive.add, owner, ended)

    @staticmethod
    async def _close_recording(call: Call) -> bool:
        if call.recording is None:
            return False
        closed = asyncio.wrap_future(call.recording.finish(round(call.elapsed_sec * SAMPLE_RATE_HZ)))
        done, _ = await asyncio.wait([closed], timeout=RECORDING_CLOSES_WITHIN_SEC)
        failed = call.recording.failed
        if failed is not None and str(failed) not in call.notes:
            call.notes.append(str(failed))
        # A disk that is still writing may finish later; the archive looks for the file when it is asked for.
        return closed.result() is not None if done else True

    async def _expire(self) -> None:
        while True:
            await asyncio.to_thread(self.archive.expire, time.time())
            await asyncio.sleep(EXPIRE_EVERY_SEC)


def _log_failure(done: "asyncio.Future[None]") -> None:
    if not done.cancelled() and done.exception() is not None:
        log.error("The archive could not note that a call began.", exc_info=done.exception())
