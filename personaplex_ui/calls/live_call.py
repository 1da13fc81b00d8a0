"""A call in real time: sound in, frames and text out, with a watchdog and a recording of both directions.

A transport feeds it with ``hear`` and drains it with ``next_answer``. Session time starts when the call goes
live and is counted in samples.
"""

import asyncio
import contextlib
import time
from array import array
from collections.abc import Callable
from dataclasses import replace

from personaplex_ui.audio.frame_queue import FrameQueue
from personaplex_ui.audio.frames import FRAME_SAMPLES, FRAME_SEC, SAMPLE_RATE_HZ, Frame, FrameCutter, Samples
from personaplex_ui.audio.levels import QUIET_DBFS, SILENCE_DBFS, rms_dbfs
from personaplex_ui.audio.recording.recorder import StereoRecording
from personaplex_ui.calls.call import WATCH_EVERY_SEC, Call
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.snapshot import CallStats, EndedCall, PacketCounts, Snapshot, Transport
from personaplex_ui.calls.watchdog import Watchdog
from personaplex_ui.engine.engine import Engine
from personaplex_ui.engine.slot import Slot
from personaplex_ui.engine.speech_model import Answer
from personaplex_ui.errors import PersonaplexError, SpeakQueueFull
from personaplex_ui.voices.library import shown_voice

LATE_FRAME_SEC = 0.05
"""If frames wait this long for their tick on average, they are realigned at the next quiet moment."""

RELOCK_EVERY_FRAMES = 25
USUAL_CHUNK_SAMPLES = 480
"""20 ms, the length of a WebRTC or phone packet."""


class LiveCall(Call):
    paced = True

    def __init__(
        self,
        call_id: str,
        settings: CallSettings,
        engine: Engine,
        max_sec: float,
        start_recording: Callable[[], StereoRecording | None] = lambda: None,
        transport: Transport = Transport.BROWSER,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(call_id, settings, engine, transport, FrameQueue[tuple[float, Answer]](), clock)
        self.max_sec = max_sec
        self.recording: StereoRecording | None = None
        self.caller_levels = LevelTrack()
        self.assistant_levels = LevelTrack()
        self.left_out_samples = 0
        """The caller's sound that the transport dropped."""
        self.packet_counts: Callable[[], PacketCounts] = PacketCounts
        """Packet counters of the caller; set by a transport whose network may lose packets."""
        self.answer_waited_sec = 0.0
        """How long the last answer waited until the transport took it."""
        self._start_recording = start_recording
        self._watchdog = Watchdog(max_sec)
        self._live_at = 0.0
        self._cutter = FrameCutter()
        self._heard_frames: int | None = None
        """None until the first sound arrives."""

    async def _converse(self, slot: Slot) -> None:
        self._live_at = self._clock()
        self._watchdog.start(self._live_at)
        self.recording = self._start_recording()
        self._go_live()
        while True:
            await asyncio.sleep(WATCH_EVERY_SEC)
            await self._check_on(slot)

    async def _check_on(self, slot: Slot) -> None:
        verdict = self._watchdog.check(self._clock())
        if verdict.hang_up:
            self.hang_up(verdict.hang_up, verdict.end)
        if verdict.goodbye:
            self.notes.append(verdict.note)
            with contextlib.suppress(SpeakQueueFull, TimeoutError):
                async with asyncio.timeout(WATCH_EVERY_SEC):
                    await slot.speak(verdict.goodbye)
        self._note_failed_recording()
        self._changed()

    def _note_failed_recording(self) -> None:
        if self.recording is not None and self.recording.failed is not None:
            note = str(self.recording.failed)
            if note not in self.notes:
                self.notes.append(note)

    def _session_sec(self) -> float:
        return self._clock() - self._live_at

    def _session_samples(self) -> int:
        return round(self.elapsed_sec * SAMPLE_RATE_HZ)

    # Sound -----------------------------------------------------------------------------------------

    def hear(self, samples: Samples) -> None:
        """Take sound from the caller as it arrives: shape ``[n]``, float32, 24 kHz. Ignored unless live."""
        slot = self._slot
        if slot is None:
            return
        if self._heard_frames is None:
            self._heard_frames = 0
            self._align(slot, len(samples), len(samples))
        frames = self._cutter.cut(samples)
        self._watchdog.heard(self._clock())
        if self.recording is not None:
            self.recording.place_caller(samples, self._session_samples())
        for frame in frames:
            level = rms_dbfs(frame)
            self.caller_levels.set(self.elapsed_sec - FRAME_SEC, level)
            slot.hear(frame)
            self._heard_frames += 1
            if self._heard_frames % RELOCK_EVERY_FRAMES == 0 and level < QUIET_DBFS:
                _, _, wait_sec = slot.waiting_frames()
                if wait_sec > LATE_FRAME_SEC:
                    self._align(slot, USUAL_CHUNK_SAMPLES, 0)

    def _align(self, slot: Slot, chunk_samples: int, uncut_samples: int) -> None:
        """Skip up to one frame of sound, so that from now on frames complete just before a tick."""
        skip = slot.samples_to_skip(chunk_samples)
        if skip is not None:
            self._cutter.skip((skip + uncut_samples) % FRAME_SAMPLES)

    def _text_at_sec(self) -> float:
        return self.elapsed_sec

    def _deliver(self, answer: Answer | PersonaplexError) -> None:
        self._watchdog.answered(self._clock())
        super()._deliver(answer)

    async def next_answer(self, timeout_sec: float | None = None, heard: bool = True) -> Frame | None:
        """Like ``Call.next_answer``. The recording places the frame at this moment. A transport that learns
        only later what was heard passes ``heard=False`` and then calls ``heard``."""
        taken = await self._take_answer(timeout_sec)
        if taken is None:
            return None
        delivered_at, answer = taken
        self.answer_waited_sec = self._clock() - delivered_at
        self.assistant_levels.set(self.elapsed_sec, rms_dbfs(answer.frame))
        if heard and self.recording is not None:
            self.recording.place_assistant(answer.frame, self._session_samples() + FRAME_SAMPLES)
        return answer.frame

    def heard(self, frame: Frame) -> None:
        """The caller has just heard ``frame`` to its end."""
        if self.recording is not None:
            self.recording.place_assistant(frame, self._session_samples())

    # Views -----------------------------------------------------------------------------------------

    def _current_stats(self, slot: Slot) -> CallStats:
        stats, packets = super()._current_stats(slot), self.packet_counts()
        return replace(
            stats,
            dropped_heard=stats.dropped_heard + self.left_out_samples // FRAME_SAMPLES,
            lost_packets=packets.lost,
            late_packets=packets.late,
            concealed_packets=packets.concealed,
        )

    def snapshot(self) -> Snapshot:
        return replace(
            super().snapshot(),
            caller_level_dbfs=self.caller_levels.now,
            assistant_level_dbfs=self.assistant_levels.now,
        )

    async def close_recording(self, within_sec: float) -> bool:
        """Close the recording of the ended call; returns whether there is one. A slow disk may finish
        later."""
        if self.recording is None:
            return False
        closed = asyncio.wrap_future(self.recording.finish(self._session_samples()))
        done, _ = await asyncio.wait([closed], timeout=within_sec)
        self._note_failed_recording()
        return closed.result() is not None if done else True

    def ended(self, started_at: float, recorded: bool) -> EndedCall:
        """The record to store after the call ends."""
        return EndedCall(
            call_id=self.call_id,
            started_at=started_at,
            duration_sec=self.elapsed_sec,
            voice=shown_voice(self.settings.persona.voice),
            reason=self.reason,
            notes=tuple(self.notes),
            utterances=self.transcript.utterances,
            caller_levels_dbfs=self.caller_levels.until(self.elapsed_sec),
            assistant_levels_dbfs=self.assistant_levels.until(self.elapsed_sec),
            recorded=recorded,
            stats=self.stats,
        )


class LevelTrack:
    """The loudness of one side: one dBFS value for every 80 ms of the live call, silence if none was set."""

    def __init__(self) -> None:
        self._levels = array("f")  # 4 bytes each, in a call that may go on for hours

    @property
    def now(self) -> float:
        return self._levels[-1] if self._levels else SILENCE_DBFS

    def set(self, at_sec: float, level_dbfs: float) -> None:
        """Set the level of the frame that began at ``at_sec``. If it has one already, the louder counts."""
        index = max(0, round(at_sec / FRAME_SEC))
        self._levels.extend([SILENCE_DBFS] * (index + 1 - len(self._levels)))
        self._levels[index] = max(self._levels[index], level_dbfs)

    def until(self, duration_sec: float) -> tuple[float, ...]:
        """All levels of a call that lasted ``duration_sec``."""
        frames = round(duration_sec / FRAME_SEC)
        return tuple(self._levels[:frames]) + (SILENCE_DBFS,) * (frames - len(self._levels))
