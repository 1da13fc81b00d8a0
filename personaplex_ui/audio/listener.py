"""Detects where an utterance begins and ends. Depends on levels only."""

from collections import deque
from dataclasses import dataclass

import numpy as np

from personaplex_ui.audio.frames import FRAME_SEC, Frame, Samples
from personaplex_ui.audio.levels import rms_dbfs
from personaplex_ui.audio.noise_floor import NoiseFloor

PAUSE_FRAMES = 7
"""0.56 s: the first whole number of frames over half a second, which ends an utterance."""

SHORTEST_SPEECH_FRAMES = 2
"""Fewer loud frames in a row are a cough or a click, and are not repeated."""

KEPT_BEFORE_FRAMES = 2
KEPT_AFTER_FRAMES = 2
MAX_UTTERANCE_SEC = 30.0


@dataclass(frozen=True, slots=True)
class Utterance:
    """What was said between two pauses: samples of shape ``[n]``, and its level in dBFS."""

    samples: Samples
    level_dbfs: float


class Listener:
    """Takes frame after frame and returns each utterance once it is over."""

    def __init__(self) -> None:
        self._before: deque[Frame] = deque(maxlen=KEPT_BEFORE_FRAMES)
        self._utterance: deque[Frame] = deque(maxlen=int(MAX_UTTERANCE_SEC / FRAME_SEC))
        self._quiet_frames = 0
        self._spoken = False
        self._floor = NoiseFloor()
        self.speech_frames = 0
        """Number of consecutive frames of speech so far."""

    @property
    def hearing(self) -> bool:
        """Whether an utterance is in progress (including short pauses)."""
        return bool(self._utterance)

    @property
    def hears_speech(self) -> bool:
        """Whether an utterance is in progress that is more than a cough or a click."""
        return self.hearing and self._spoken

    @property
    def pause_frames(self) -> int:
        """How long the speaker of an utterance, not of a cough or a click, has paused; 0 while they speak."""
        return self._quiet_frames if self._spoken else 0

    @property
    def is_full(self) -> bool:
        """Whether the utterance is as long as one may be: of one that goes on, the beginning is lost."""
        return self._spoken and len(self._utterance) == self._utterance.maxlen

    def heard_so_far(self) -> Samples:
        """The utterance in progress."""
        return np.concatenate([*self._utterance, np.zeros(0, dtype=np.float32)])

    def cut(self, kept_frames: int = 0) -> Utterance:
        """End the utterance in progress without a pause; its last ``kept_frames`` begin the next one."""
        frames = list(self._utterance)
        end = max(0, len(frames) - kept_frames)
        samples = np.concatenate([*frames[:end], np.zeros(0, dtype=np.float32)])
        self._utterance.clear()
        self._utterance.extend(frames[end:])
        if not self._utterance:
            self._spoken = False
            self._quiet_frames = 0
        return Utterance(samples, rms_dbfs(samples))

    def hear(self, frame: Frame) -> Utterance | None:
        """Take one frame of shape ``[1920]``; returns the utterance that ended with it, if one did."""
        level = rms_dbfs(frame)
        speech = self._floor.is_speech(level)
        self.speech_frames = self.speech_frames + 1 if speech else 0
        self._spoken |= self.speech_frames >= SHORTEST_SPEECH_FRAMES
        if not self._utterance:
            if speech:
                self._utterance.extend([*self._before, frame])
            self._before.append(frame)
            return None
        self._utterance.append(frame)
        self._quiet_frames = 0 if speech else self._quiet_frames + 1
        if self._quiet_frames < PAUSE_FRAMES:
            return None
        frames = list(self._utterance)
        spoken, self._spoken = self._spoken, False
        self._utterance.clear()
        self._before.extend(frames)
        self._quiet_frames = 0
        if not spoken:
            return None
        samples = np.concatenate(frames[: KEPT_AFTER_FRAMES - PAUSE_FRAMES])
        return Utterance(samples, rms_dbfs(samples))
