"""Hears one caller: finds utterances in frames, and has them recognised. Blocks nowhere."""

from collections import deque
from dataclasses import dataclass

from personaplex_ui.audio.frames import Frame, Samples
from personaplex_ui.audio.listener import PAUSE_FRAMES, Listener
from personaplex_ui.models.cascade.parts import PartsOfCall
from personaplex_ui.speech.parts import Recognised
from personaplex_ui.speech.work.jobs import Job

EARLY_AFTER_FRAMES = 3
"""0.24 s of pause, after which recognition begins: most who pause so long have finished."""

MOST_UNRECOGNISED = 4
"""Utterances that may wait for the recogniser; of more, the oldest is given up."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """What is being recognised, and between which of the caller's frames, counted from 0, it was said."""

    job: Job[Recognised]
    begun_frame: int
    ended_frame: int


class Ears:
    """The listener of one caller, and the recognitions under way."""

    def __init__(self, parts: PartsOfCall) -> None:
        self._parts = parts
        self._listener = Listener()
        self._early: Job[Recognised] | None = None
        self._ended: deque[Utterance] = deque()
        self._begun_frame = 0
        self.frames = 0
        """Frames heard so far."""
        self.talks_on = False
        """The caller spoke so long that an utterance was cut, and has not paused since."""

    @property
    def speech_frames(self) -> int:
        """Number of consecutive frames of speech so far."""
        return self._listener.speech_frames

    @property
    def caller_has_ended(self) -> bool:
        """Whether the caller is not in the middle of an utterance. A cough or a click is none."""
        return not self._listener.hears_speech

    @property
    def settled(self) -> bool:
        """Whether all that was said is recognised."""
        return not self._ended

    @property
    def working(self) -> bool:
        jobs = [
            *(utterance.job for utterance in self._ended),
            *([self._early] if self._early is not None else []),
        ]
        return any(job.under_way for job in jobs)

    def hear(self, frame: Frame) -> None:
        """Take one frame of shape ``[1920]``."""
        was_hearing = self._listener.hearing
        utterance = self._listener.hear(frame)
        if not was_hearing:
            self._begun_frame = self.frames
        self.frames += 1
        if utterance is not None:
            self._end(self._early or self._recognise(utterance.samples), PAUSE_FRAMES)
            self._early, self.talks_on = None, False
        elif self._listener.is_full:
            self._drop_early()
            self._end(self._recognise(self._listener.cut().samples))
            self.talks_on = True
        elif self._listener.pause_frames == EARLY_AFTER_FRAMES:
            self._early = self._recognise(self._listener.heard_so_far())
            self.talks_on = False
        elif self._listener.pause_frames == 0:
            self._drop_early()

    @property
    def words_in_pause(self) -> Job[Recognised] | None:
        """What was recognised in a pause that may become the end; the same job then comes as ``recognised``
        if it does."""
        return self._early if self._early is not None and self._early.done else None

    def recognised(self) -> Utterance | None:
        """The next utterance whose recognition has ended, well or not, oldest first."""
        return self._ended.popleft() if self._ended and self._ended[0].job.done else None

    def close(self) -> None:
        self._drop_early()
        for utterance in self._ended:
            utterance.job.cancel()

    def _recognise(self, samples: Samples) -> Job[Recognised]:
        return self._parts.recognise(samples)

    def _end(self, job: Job[Recognised], paused_frames: int = 0) -> None:
        ended_frame = self.frames - paused_frames
        self._ended.append(Utterance(job, self._begun_frame, ended_frame))
        self._begun_frame = ended_frame
        if len(self._ended) > MOST_UNRECOGNISED:
            self._ended.popleft().job.cancel()

    def _drop_early(self) -> None:
        if self._early is not None:
            self._early.cancel()
            self._early = None
