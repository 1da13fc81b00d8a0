"""A call in real time: sound in, frames and text out, with a watchdog and a recording of both directions.

A transport feeds it with ``hear`` and drains it with ``next_answer``. Session time starts when the call goes
live and is counted in samples.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import replace

from personaplex_ui.audio.frame_queue import FrameQueue
from personaplex_ui.audio.frames import FRAME_SAMPLES, FRAME_SEC, SAMPLE_RATE_HZ, Frame, FrameCutter, Samples
from personaplex_ui.audio.levels import QUIET_DBFS, rms_dbfs
from personaplex_ui.audio.recording.recorder import StereoRecording
from personaplex_ui.calls.call import WATCH_EVERY_SEC, Call
from personaplex_ui.calls.call_length import CallLength
from personaplex_ui.calls.captions import OWN_WORDS, Captions
from personaplex_ui.calls.cues import Cues
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.snapshot import CallStats, EndedCall, PacketCounts, Snapshot, Transport
from personaplex_ui.calls.sound_watch import WatchedSound
from personaplex_ui.calls.watchdog import WHILE_LIVE, Watchdog
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
        length: CallLength | None = None,
        captions: Captions = OWN_WORDS,
        cues: Cues | None = None,
        sound: WatchedSound | None = None,
    ) -> None:
        """``max_sec``: the longest the call may be; or ``length``, if it may change. ``cues``: what of the
        assistant's words is not for the caller. ``sound``: watches what is said."""
        playout = FrameQueue[tuple[float, Answer]]()
        super().__init__(call_id, settings, engine, transport, playout, clock, captions, cues)
        self._length = length or CallLength(max_sec)
        limit = self._length.limit(0.0)
        self.max_sec = limit.sec
        self.recording: StereoRecording | None = None
        self.caller_levels = self.conversation.caller_levels
        self.assistant_levels = self.conversation.assistant_levels
        self.left_out_samples = 0
        """The caller's sound that the transport dropped."""
        self.packet_counts: Callable[[], PacketCounts] = PacketCounts
        """Packet counters of the caller; set by a transport whose network may lose packets."""
        self.answer_waited_sec = 0.0
        """How long the last answer waited until the transport took it."""
        self._start_recording = start_recording
        self._sound = sound or WatchedSound(call_id)
        self._watchdog = Watchdog(limit.sec)
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
        limit = self._watchdog.limit = self._length.limit(self.elapsed_sec)
        self.max_sec = limit.sec
        verdict = self._watchdog.check(self._clock())
        if verdict.hang_up:
            self.hang_up(verdict.hang_up, verdict.end)
        if verdict.note:
            self.notes.append(verdict.note)
        if verdict.goodbye:
            with contextlib.suppress(SpeakQueueFull, TimeoutError):
                async with asyncio.timeout(WATCH_EVERY_SEC):
                    await slot.speak(verdict.goodbye)
        self._note_failed_recording()
        self.conversation.advance(self.elapsed_sec)
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
            start_sec = self.elapsed_sec - FRAME_SEC
            self.conversation.hear_caller(start_sec, level)
            self._sound.hear_caller(level)
            slot.hear(frame)
            self._captions.hear(frame, start_sec)
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

    def _heard_until_sec(self) -> float:
        waiting = 0 if self._slot is None else self._slot.waiting_frames()[0]
        return self.elapsed_sec - waiting * FRAME_SEC

    def _deliver(self, answer: Answer | PersonaplexError) -> None:
        self._watchdog.answered(self._clock())
        super()._deliver(answer)
        if isinstance(answer, Answer):
            self._sound.hear(answer.frame)

    def _say(self, piece: str) -> None:
        super()._say(piece)
        self._sound.say(piece)

    async def next_answer(self, timeout_sec: float | None = None, heard: bool = True) -> Frame | None:
        """Like ``Call.next_answer``. The recording places the frame at this moment. A transport that learns
        only later what was heard passes ``heard=False`` and then calls ``heard``."""
        taken = await self._answer_queue.take(timeout_sec)
        if taken is None:
            return None
        delivered_at, answer = taken
        self.answer_waited_sec = self._clock() - delivered_at
        self.conversation.hear_assistant(self.elapsed_sec, rms_dbfs(answer.frame))
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
            notes=tuple(note for note in self.notes if not note.startswith(WHILE_LIVE)),
            utterances=self.transcript.utterances,
            caller_levels_dbfs=self.caller_levels.until(self.elapsed_sec),
            assistant_levels_dbfs=self.assistant_levels.until(self.elapsed_sec),
            recorded=recorded,
            stats=self.stats,
            text_prompt=self.settings.persona.text_prompt,
            lines=self.conversation.lines,
        )
