"""Loudness of sound, and the stretches of speech that a sequence of levels shows.

Depends on numbers only. Sound that is loud for long enough counts as speech; there is no voice detection.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from personaplex_ui.audio.frames import FRAME_SEC, Samples

QUIET_DBFS = -50.0
"""Below it nobody is speaking, so parts of such sound can be dropped unnoticed."""

SILENCE_DBFS = -100.0
"""The floor of all levels."""


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
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    if not 1e-10 < power < float("inf"):
        return SILENCE_DBFS
    return 10.0 * float(np.log10(power))


def speech_segments(
    levels_dbfs: Sequence[float],
    threshold_dbfs: float = -45.0,
    min_gap_frames: int = 4,
    min_frames: int = 2,
) -> list[Segment]:
    """Where ``levels_dbfs``, one value a frame (80 ms), reach the threshold, in order of time.

    Gaps of fewer than ``min_gap_frames`` are bridged; anything then shorter than ``min_frames`` is a click
    and is left out.
    """
    runs: list[tuple[int, int]] = []
    for index, level in enumerate(levels_dbfs):
        if level < threshold_dbfs:
            continue
        if runs and index - runs[-1][1] < max(1, min_gap_frames):
            runs[-1] = (runs[-1][0], index + 1)
        else:
            runs.append((index, index + 1))
    return [Segment(a * FRAME_SEC, b * FRAME_SEC) for a, b in runs if b - a >= min_frames]
