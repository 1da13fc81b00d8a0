"""Finds sound that goes on repeating itself, frame by frame, in constant time and memory.

A model that is stuck says the same tokens again and again, so its loops are whole frames long; a loop of any
other length fits a multiple of its period, up to 8 s. Recorded speech never has more than two frames in a row
that sound like those some time before (24.7 s of LibriVox, every distance up to 8 s, differences up to 2 dB).
"""

import numpy as np

from personaplex_ui.audio.sound_measure import BANDS, FrameMeasure

SAME_DB = 1.0
"""Two frames whose bands differ by no more on average are the same sound. Two frames of speech differ by 1.3
at least, and by 12 as a rule."""

LONGEST_PERIOD_FRAMES = 100
LONG_RUN_FRAMES = 38
"""3 s that fit what was said before are a loop, also before it has come round three times."""

MOST_SILENCE_FRAMES = 12
"""1 s: a longer pause ends a loop. Who is asked twice, or says that he did not understand, may use the same
words, which a synthesiser even says with the same samples."""


class LoopFinder:
    """Keeps 26 KB: the bands of the last 8 s."""

    def __init__(self) -> None:
        longest = LONGEST_PERIOD_FRAMES
        # Each frame is written twice, so that those before it are one slice, the newest first.
        self._bands = np.zeros((2 * longest, BANDS), dtype=np.float32)
        self._loud = np.zeros(2 * longest, dtype=np.bool_)
        self._at = 0
        self._seen = 0
        self._periods = np.arange(1, longest + 1)
        self._runs = np.zeros(longest, dtype=np.int32)
        """For each period: how many frames in a row have sounded like the one a period before."""
        self._spoken = np.zeros(longest, dtype=np.int32)
        """How many of those were loud."""
        self._silent_frames = 0

    def hear(self, frame: FrameMeasure) -> int:
        """The length of the loop that is going on, in frames; 0 if there is none. A sound that is held is a
        loop of one frame."""
        self._silent_frames = 0 if frame.is_loud else self._silent_frames + 1
        if self._silent_frames >= MOST_SILENCE_FRAMES:
            self._runs[:] = self._spoken[:] = 0
        else:
            self._compare(frame)
        self._keep(frame)
        # Silence fits into a loop, but is none.
        loops = ((self._runs >= 2 * self._periods) | (self._runs >= LONG_RUN_FRAMES)) & (
            2 * self._spoken >= self._runs
        )
        loops &= self._runs > 0
        return int((self._runs + self._periods)[loops].max(initial=0))

    def _compare(self, frame: FrameMeasure) -> None:
        before = slice(self._at, self._at + LONGEST_PERIOD_FRAMES)
        if frame.is_loud:
            differences = np.abs(self._bands[before] - frame.bands).mean(axis=1)
            same = (differences <= SAME_DB) & self._loud[before]
        else:
            same = ~self._loud[before]
        same[self._seen :] = False
        self._runs = np.where(same, self._runs + 1, 0)
        self._spoken = np.where(same, self._spoken + frame.is_loud, 0)

    def _keep(self, frame: FrameMeasure) -> None:
        longest = LONGEST_PERIOD_FRAMES
        self._at = (self._at - 1) % longest
        for at in (self._at, self._at + longest):
            self._bands[at] = frame.bands
            self._loud[at] = frame.is_loud
        self._seen = min(self._seen + 1, longest)
