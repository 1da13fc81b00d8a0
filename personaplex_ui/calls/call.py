"""One call: waiting -> preparing -> live -> ended. Frames in, frames and text out; it knows no wire.

A transport feeds it with ``hear`` and drains it with ``next_answer``; a page follows it with ``watch``.
Everything happens on the event loop. Session time starts when the call goes live and is counted in samples.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable

from personaplex_ui.audio.frame_queue import FrameQueue
from personaplex_ui.audio.frames import FRAME_SAMPLES, FRAME_SEC, SAMPLE_RATE_HZ, Frame, FrameCutter, Samples
from personaplex_ui.audio.levels import QUIET_DBFS, rms_dbfs
from personaplex_ui.audio.recording.recorder import StereoRecording
from personaplex_ui.calls.level_track import LevelTrack
from personaplex_ui.calls.persona_check import check_persona_aside
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.snapshot import CallStats, End, PacketCounts, Phase, Snapshot, Transport
from personaplex_ui.calls.transcript import Transcript
from personaplex_ui.calls.watchdog import Watchdog
from personaplex_ui.engine.engine import Engine
from personaplex_ui.engine.slot import Slot
from personaplex_ui.engine.slot_pool import SlotRequest
from personaplex_ui.engine.speech_model import Answer, Sampling
from personaplex_ui.errors import (
    CallOver,
    EngineFailure,
    EngineUnavailable,
    PersonaplexError,
    SpeakQueueFull,
)

log = logging.getLogger(__name__)

WATCH_EVERY_SEC = 0.2
LATE_FRAME_SEC = 0.05
"""Frames that wait this long for their tick on average are cut anew, at the next quiet moment."""

RELOCK_EVERY_FRAMES = 25
USUAL_CHUNK_SAMPLES = 480
"""20 ms, what a WebRTC or phone packet holds."""


class Call:
    """``run`` is the whole life; it never raises for what happens in a call, but tells it in ``reason``."""

    def __init__(
        self,
        call_id: str,
        settings: CallSettings,
        engine: Engine,
        max_sec: float,
        start_recording: Callable[[], StereoRecording | None] = lambda: None,
        paced: bool = True,
        clock: Callable[[], float] = time.monotonic,
        transport: Transport = Transport.BROWSER,
    ) -> None:
        self.call_id = call_id
        self.settings = settings
        self.transport = transport
        self.phase = Phase.WAITING
        self.reason = ""
        self.end: End | None = None
        self.waited_sec = 0.0
        """For a line. ``prepared_sec``: what the persona took after that."""
        self.prepared_sec = 0.0
        self.notes: list[str] = []
        self.recording: StereoRecording | None = None
        self.transcript = Transcript()
        self.pieces: list[str] = []
        """The transcript as it became known, piece by piece; it only grows."""
        self.left_out_samples = 0
        """Sound of the caller that its transport dropped."""
        self.caller_levels = LevelTrack()
        self.assistant_levels = LevelTrack()
        self.live = asyncio.Event()
        self.over = asyncio.Event()
        self.max_sec = max_sec
        self._engine = engine
        self._start_recording = start_recording
        self._paced = paced
        self._clock = clock
        self._scope = asyncio.timeout(None)
        self._running = False
        self._request: SlotRequest | None = None
        self._slot: Slot | None = None
        self.packet_counts: Callable[[], PacketCounts] = PacketCounts
        """What became of the caller's packets; for a transport to set whose wire may lose some."""
        self._figures = CallStats()
        self._progress = 0.0
        self._live_at = 0.0
        self._duration_sec = 0.0
        self._heard_samples = 0
        self._heard_frames = 0
        self._answers = 0
        self._cutter = FrameCutter()
        self._playout = (
            FrameQueue[tuple[float, Answer]]() if paced else FrameQueue[tuple[float, Answer]](64, 64)
        )
        self.answer_waited_sec = 0.0
        """How long the answer that was taken last had waited until the transport took it."""
        self._playable = asyncio.Event()
        self._watchers: set[asyncio.Event] = set()
        self._persona_checked = asyncio.Event()
        self._watchdog = Watchdog(max_sec)

    # Life ------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve the call until it ends, for whatever reason; afterwards ``reason`` tells it in a sentence."""
        try:
            async with self._scope:
                self._running = True
                if not self.reason:
                    await self._serve()
        except TimeoutError:
            pass  # hang_up
        except PersonaplexError as error:
            end = End.FAILED if self.live.is_set() or isinstance(error, EngineFailure) else End.REFUSED
            self._note_end(str(error), end)
        except asyncio.CancelledError:
            self._note_end("The server ended the call.", End.SHUTDOWN)
            raise
        except Exception:
            log.exception("The call failed.")
            self._note_end("Something failed on our side. Please call again.", End.FAILED)
        finally:
            self.phase = Phase.ENDED
            self._tell_it_is_over()

    def _tell_it_is_over(self) -> None:
        self.over.set()
        self._persona_checked.set()
        self._playable.set()
        self._changed()

    async def _serve(self) -> None:
        model = self._engine.model  # refuses at once, with words, while there is no model
        if self._paced and model.clips_only:
            raise EngineUnavailable(model.clips_only)
        await check_persona_aside(model, self.settings.persona)
        asked_at = self._clock()
        request = self._request = self._engine.slots.request(self._changed)
        self._persona_checked.set()
        self._changed()
        try:
            if request.slot is None:
                await self._wait_for_slot(request)
                await check_persona_aside(model, self.settings.persona)  # its voice may be forgotten by now
            assert request.slot is not None
            got_slot_at = self._clock()
            self.waited_sec = got_slot_at - asked_at
            self.phase = Phase.PREPARING
            self._changed()
            persona, sampling = self.settings.persona, self.settings.sampling
            slot = await self._engine.take_slot(
                request.slot, persona, sampling, self._deliver, self._report_progress, self._paced
            )
            self.prepared_sec = self._clock() - got_slot_at
            try:
                if self.settings.sampling != sampling:  # changed on the page meanwhile
                    slot.change_sampling(self.settings.sampling)
                await self._go_live(slot)
            finally:
                self._duration_sec = self.elapsed_sec
                self._figures = self._current_figures()
                self.phase = Phase.ENDED
                self._slot = None
                if self.reason:  # known already: nobody need wait until the model lets go
                    self._tell_it_is_over()
                await asyncio.shield(slot.leave())
        finally:
            self._engine.slots.release(request)

    async def _wait_for_slot(self, request: SlotRequest) -> None:
        changed = asyncio.Event()
        self._watchers.add(changed)
        try:
            while request.slot is None:
                changed.clear()
                await changed.wait()
        finally:
            self._watchers.discard(changed)

    async def _go_live(self, slot: Slot) -> None:
        self._slot = slot
        self._live_at = self._clock()
        self._watchdog.start(self._live_at)
        self.recording = self._start_recording()
        self.phase = Phase.LIVE
        self.live.set()
        self._changed()
        while self._paced:
            await asyncio.sleep(WATCH_EVERY_SEC)
            await self._check_on(slot)
        await self.over.wait()  # until hang_up

    async def _check_on(self, slot: Slot) -> None:
        verdict = self._watchdog.check(self._clock())
        if verdict.hang_up:
            self.hang_up(verdict.hang_up, verdict.end)
        if verdict.goodbye:
            self.notes.append(verdict.note)
            with contextlib.suppress(SpeakQueueFull, TimeoutError):
                async with asyncio.timeout(WATCH_EVERY_SEC):
                    await slot.speak(verdict.goodbye)
        if self.recording is not None and self.recording.failed is not None:
            note = str(self.recording.failed)
            if note not in self.notes:
                self.notes.append(note)
        self._changed()

    def hang_up(self, reason: str, end: End = End.HUNG_UP) -> None:
        """End the call now, in whatever phase. The first reason given stays."""
        if self.phase is Phase.ENDED or self.reason:
            return
        self._note_end(reason, end)
        if self._running:
            self._scope.reschedule(asyncio.get_running_loop().time())

    def _note_end(self, reason: str, end: End) -> None:
        if self.end is None:
            self.reason, self.end = reason, end

    # Sound -----------------------------------------------------------------------------------------

    def hear(self, samples: Samples) -> None:
        """Sound of the caller that just came in: shape ``[n]``, float32, 24 kHz. Ignored unless live."""
        slot = self._slot
        if slot is None:
            return
        now = self._clock()
        if self._paced and not self._heard_samples:
            self._lock_phase(slot, len(samples), len(samples))
        frames = self._cutter.cut(samples)
        self._heard_samples += len(samples)
        self._watchdog.heard(now)
        if self.recording is not None:
            self.recording.place_caller(samples, self._session_samples())
        for frame in frames:
            self._hear_frame(slot, frame)

    def _hear_frame(self, slot: Slot, frame: Frame) -> None:
        level = rms_dbfs(frame)
        self.caller_levels.set(self.elapsed_sec - FRAME_SEC, level)
        slot.hear(frame)
        self._heard_frames += 1
        if self._paced and self._heard_frames % RELOCK_EVERY_FRAMES == 0 and level < QUIET_DBFS:
            _, _, wait_sec = slot.waiting_frames()
            if wait_sec > LATE_FRAME_SEC:
                self._lock_phase(slot, USUAL_CHUNK_SAMPLES, 0)

    def _lock_phase(self, slot: Slot, chunk_samples: int, uncut_samples: int) -> None:
        """Leave out up to a frame of sound, so that from now on frames complete just before a tick."""
        skip = slot.samples_to_skip(chunk_samples)
        if skip is not None:
            self._cutter.skip((skip + uncut_samples) % FRAME_SAMPLES)

    def _deliver(self, answer: Answer | PersonaplexError) -> None:
        if isinstance(answer, PersonaplexError):
            self.hang_up(str(answer), End.FAILED)
            return
        self._watchdog.answered(self._clock())
        if answer.text:
            # A clip's clock is its sound: answer k belongs to frame k, however far ahead the caller is.
            said_at = self.elapsed_sec if self._paced else self._answers * FRAME_SEC
            self.transcript.append(answer.text, said_at, said_at + FRAME_SEC)
            self.pieces.append(answer.text)
            self._changed()
        self._answers += 1
        self._playout.put((self._clock(), answer))
        self._playable.set()

    async def next_answer(self, timeout_sec: float | None = None, heard: bool = True) -> Frame | None:
        """The next frame for the caller to hear, as soon as there is one; None after ``timeout_sec``.

        It counts as heard from now on: the recording shows it here. A wire that learns only later what was
        heard says ``heard=False``, and ``heard`` when it knows.

        Raises:
            CallOver: the call has ended.
        """
        try:
            async with asyncio.timeout(timeout_sec):
                while not len(self._playout):
                    if self.over.is_set():
                        raise CallOver(self.reason)
                    self._playable.clear()
                    await self._playable.wait()
        except TimeoutError:
            return None
        taken = self._playout.take()
        assert taken is not None
        delivered_at, answer = taken
        self.answer_waited_sec = self._clock() - delivered_at
        self.assistant_levels.set(self.elapsed_sec, rms_dbfs(answer.frame))
        if heard and self.recording is not None:
            self.recording.place_assistant(answer.frame, self._session_samples() + FRAME_SAMPLES)
        return answer.frame

    def heard(self, frame: Frame) -> None:
        """The caller has heard ``frame``, to its end, just now."""
        if self.recording is not None:
            self.recording.place_assistant(frame, self._session_samples())

    # Changes and views -----------------------------------------------------------------------------

    def change_sampling(self, sampling: Sampling) -> None:
        """Use other temperatures and top-k from the next frame on."""
        self.settings = CallSettings(self.settings.persona, sampling, self.settings.record)
        if self._slot is not None:
            self._slot.change_sampling(sampling)

    async def speak(self, text: str) -> None:
        """Make the assistant say ``text``.

        Raises:
            CallOver: the call is not live.
            SpeakQueueFull: ten texts wait already.
        """
        if self._slot is None:
            raise CallOver("The call is not live, so nothing can be said in it.")
        await self._slot.speak(text)

    @property
    def elapsed_sec(self) -> float:
        """Session time; of an ended call, its length. A clip's time is that of its sound."""
        if self._slot is None:
            return self._duration_sec
        if not self._paced:
            return self._heard_samples / SAMPLE_RATE_HZ
        return self._clock() - self._live_at

    def _session_samples(self) -> int:
        return round(self.elapsed_sec * SAMPLE_RATE_HZ)

    def _report_progress(self, progress: float) -> None:
        self._progress = progress
        self._changed()

    def _current_figures(self) -> CallStats:
        if self._slot is None:
            return self._figures
        waiting, dropped, _ = self._slot.waiting_frames()
        dropped += self.left_out_samples // FRAME_SAMPLES
        packets = self.packet_counts()
        return CallStats(
            dropped,
            self._playout.dropped,
            waiting + len(self._playout),
            packets.lost,
            packets.late,
            packets.concealed,
        )

    def snapshot(self) -> Snapshot:
        return Snapshot(
            call_id=self.call_id,
            phase=self.phase,
            place=self._request.place if self._request else 0,
            waiting=self._request.waiting if self._request else 0,
            preparing_progress=self._progress,
            elapsed_sec=self.elapsed_sec,
            max_sec=self.max_sec,
            reason=self.reason,
            notes=tuple(self.notes),
            lines=self.transcript.lines,
            caller_level_dbfs=self.caller_levels.now,
            assistant_level_dbfs=self.assistant_levels.now,
            figures=self._current_figures(),
        )

    def _changed(self) -> None:
        for watcher in self._watchers:
            watcher.set()

    async def watch(self) -> AsyncIterator[Snapshot]:
        """Snapshots as things change, at most one every 0.2 s: a slow reader gets fewer, never old ones. The
        place in the queue is told at once when the persona was checked."""
        changed = asyncio.Event()
        self._watchers.add(changed)
        try:
            while True:
                changed.clear()
                snapshot = self.snapshot()
                yield snapshot
                if snapshot.phase is Phase.ENDED and self.over.is_set():
                    return
                if not self._persona_checked.is_set():
                    await self._persona_checked.wait()
                    continue
                await asyncio.sleep(WATCH_EVERY_SEC)
                await changed.wait()
        finally:
            self._watchers.discard(changed)
