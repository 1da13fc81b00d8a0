"""Finds what one caller says in frames, with its times. Depends on sound only, in constant time a frame."""

from collections import deque
from dataclasses import dataclass

import numpy as np

from personaplex_ui.audio.frames import FRAME_SEC, FRAMES_PER_SEC, Frame, Samples
from personaplex_ui.audio.levels import rms_dbfs
from personaplex_ui.audio.listener import PAUSE_FRAMES, Listener

CUT_BETWEEN_FRAMES = (int(1 * FRAMES_PER_SEC), int(6 * FRAMES_PER_SEC))
"""An utterance of 30 s that goes on is cut where this part of it, counted from its end, is quietest: words
stay whole, and Whisper, whose window has 30 s, need not cut it again."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """What was said from ``start_sec`` to ``end_sec``: samples ``[n]``, with a little silence around it."""

    samples: Samples
    start_sec: float
    end_sec: float


class UtteranceFinder:
    """Of one caller."""

    def __init__(self) -> None:
        self._listener = Listener()
        self._levels = deque[float](maxlen=CUT_BETWEEN_FRAMES[1])
        self._start_sec = 0.0
        self._now_sec = 0.0
        """The end of the latest frame."""

    @property
    def in_pause(self) -> bool:
        """Whether the caller has paused in an utterance, which may be its end."""
        return self._listener.pause_frames > 0

    def hear(self, frame: Frame, start_sec: float) -> Spoken | None:
        """Take one frame, shape ``[1920]``; returns the utterance that ended with it, if one did."""
        was_hearing = self._listener.hearing
        ended = self._listener.hear(frame)
        self._levels.append(rms_dbfs(frame))
        self._now_sec = start_sec + FRAME_SEC
        if ended is not None:
            return Spoken(ended.samples, self._start_sec, self._now_sec - PAUSE_FRAMES * FRAME_SEC)
        if not was_hearing:
            self._start_sec = start_sec
        return self._cut(self._quietest()) if self._listener.is_full else None

    def finish(self) -> Spoken | None:
        """There is no more sound; returns what was being said, if anything was."""
        return self._cut(0) if self._listener.hears_speech else None

    def _cut(self, kept_frames: int) -> Spoken:
        start_sec, cut_at_sec = self._start_sec, self._now_sec - kept_frames * FRAME_SEC
        end_sec = cut_at_sec - self._listener.pause_frames * FRAME_SEC if kept_frames == 0 else cut_at_sec
        self._start_sec = cut_at_sec
        return Spoken(self._listener.cut(kept_frames).samples, start_sec, max(start_sec, end_sec))

    def _quietest(self) -> int:
        """How many frames follow the quietest of those where an utterance may be cut."""
        latest_first = list(reversed(self._levels))[slice(*CUT_BETWEEN_FRAMES)]
        return CUT_BETWEEN_FRAMES[0] + int(np.argmin(latest_first))
