"""Loudness of sound, and the stretches of speech that a sequence of levels shows.

Depends on numbers only. Sound that is loud for long enough counts as speech; there is no voice detection.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from personaplex_ui.audio.frames import FRAME_SEC, Samples

QUIET_DBFS = -50.0
"""Below it nobody is speaking, so parts of such sound can be dropped unnoticed."""

SILENCE_DBFS = -100.0
"""The floor of all levels."""

SPEECH_DBFS = -45.0
"""Sound from here on may be speech."""

PRODUCT_SAMPLES = 8_192

MIN_GAP_FRAMES = 4
"""0.32 s: a shorter silence does not end a stretch of speech, since words have such gaps."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of speech, in seconds from the start of the first level."""

    start_sec: float
    end_sec: float


def rms_dbfs(samples: Samples) -> float:
    """Root mean square of ``samples`` in dB below full scale, not less than -100.

    No samples, and NaN samples, count as silence. A full-scale sine gives -3.
    """
    if len(samples) == 0:
        return SILENCE_DBFS
    exact = samples.astype(np.float64)
    # A third of the time of a mean of squares.
    power = sum(float(np.dot(part, part)) for part in _parts(exact)) / len(samples)
    if not 1e-10 < power < float("inf"):
        return SILENCE_DBFS
    return 10.0 * math.log10(power)


def _parts(samples: npt.NDArray[np.float64]) -> list[npt.NDArray[np.float64]]:
    # For a product of more than 10,000 OpenBLAS wakes a thread, which then spins for a tenth of a second.
    return [samples[start : start + PRODUCT_SAMPLES] for start in range(0, len(samples), PRODUCT_SAMPLES)]


class Stretch(NamedTuple):
    """A stretch of speech, in frames: from the first to before the last."""

    start_frame: int
    end_frame: int

    @property
    def segment(self) -> Segment:
        return Segment(self.start_frame * FRAME_SEC, self.end_frame * FRAME_SEC)


class SpeechDetector:
    """Finds stretches of speech frame by frame, in constant time and memory.

    Gaps of fewer than ``min_gap_frames`` are bridged; anything then shorter than ``min_frames`` is a click
    and is left out.
    """

    def __init__(
        self, threshold_dbfs: float = SPEECH_DBFS, min_gap_frames: int = MIN_GAP_FRAMES, min_frames: int = 2
    ) -> None:
        self.stretch: Stretch | None = None
        """The newest stretch, which may still grow."""
        self._threshold_dbfs = threshold_dbfs
        self._min_gap_frames = max(1, min_gap_frames)
        self._min_frames = min_frames
        self._run: Stretch | None = None

    def hear(self, frame: int, level_dbfs: float) -> Stretch | None:
        """Take the level of one frame; returns ``stretch`` if it began or grew.

        Frames come in order; one may come twice, and then the louder level counts. A frame that never comes
        was silent.
        """
        if level_dbfs < self._threshold_dbfs:
            return None
        if self._run is None or frame - self._run.end_frame >= self._min_gap_frames:
            self._run = Stretch(frame, frame + 1)
        else:
            self._run = Stretch(self._run.start_frame, max(self._run.end_frame, frame + 1))
        if self._run.end_frame - self._run.start_frame < self._min_frames or self._run == self.stretch:
            return None
        self.stretch = self._run
        return self.stretch

    def is_over(self, frames: int) -> bool:
        """Whether ``stretch`` can no longer grow, or there is none, once the first ``frames`` have come."""
        return self.stretch is None or frames - self.stretch.end_frame >= self._min_gap_frames


def speech_segments(
    levels_dbfs: Iterable[float],
    threshold_dbfs: float = SPEECH_DBFS,
    min_gap_frames: int = MIN_GAP_FRAMES,
    min_frames: int = 2,
) -> list[Segment]:
    """Where ``levels_dbfs``, one value a frame (80 ms), reach the threshold, in order of time, as a
    ``SpeechDetector`` finds it."""
    detector = SpeechDetector(threshold_dbfs, min_gap_frames, min_frames)
    ends: dict[int, int] = {}
    for frame, level in enumerate(levels_dbfs):
        stretch = detector.hear(frame, level)
        if stretch is not None:
            ends[stretch.start_frame] = stretch.end_frame
    return [Stretch(start, end).segment for start, end in ends.items()]
