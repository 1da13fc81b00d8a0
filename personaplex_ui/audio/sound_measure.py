"""What a frame of sound is like in numbers: how loud, how noise-like, how clipped, and in which bands."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from personaplex_ui.audio.frames import FRAME_SAMPLES, SAMPLE_RATE_HZ, Frame
from personaplex_ui.audio.levels import QUIET_DBFS, SILENCE_DBFS, rms_dbfs

LOUD_DBFS = QUIET_DBFS
"""Frames at or above it count as said; below it nobody is speaking."""

FULL_SCALE = 0.99
CLIPPED_RUN_SAMPLES = 3

LOWEST_HZ, HIGHEST_HZ = 100.0, 8_000.0
BANDS = 16
_EDGES = np.round(np.geomspace(LOWEST_HZ, HIGHEST_HZ, BANDS + 1) * FRAME_SAMPLES / SAMPLE_RATE_HZ).astype(int)
_WINDOW = np.hanning(FRAME_SAMPLES)

Bands = npt.NDArray[np.float32]
"""The level in each of 16 bands, in dB, shape ``[16]``."""

_NO_BANDS = np.zeros(BANDS, dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class FrameMeasure:
    """``level_dbfs``: RMS. ``flatness``: of the spectrum, from 0 (a tone) to 0.56 (white noise, in a spectrum
    that is not smoothed); speech has 0.001 to 0.05. ``clipped_samples``: those in runs at full scale.
    ``is_broken``: some samples are no numbers; it then counts as silence."""

    level_dbfs: float
    flatness: float
    clipped_samples: int
    bands: Bands
    is_broken: bool = False

    @property
    def is_loud(self) -> bool:
        return self.level_dbfs >= LOUD_DBFS


BROKEN = FrameMeasure(SILENCE_DBFS, 0.0, 0, _NO_BANDS, is_broken=True)


def measure(frame: Frame) -> FrameMeasure:
    """Of a quiet frame only the level is measured: the rest of it means nothing."""
    if not np.isfinite(np.dot(frame, frame)):  # a fifth of the time of looking at each sample
        return BROKEN
    level = rms_dbfs(frame)
    if level < LOUD_DBFS:
        return FrameMeasure(level, 0.0, 0, _NO_BANDS)
    spectrum = np.fft.rfft(frame * _WINDOW)[: _EDGES[-1]]
    power = np.square(spectrum.real) + np.square(spectrum.imag) + 1e-12
    heard = power[_EDGES[0] :]
    flatness = float(np.exp(np.mean(np.log(heard))) / np.mean(heard))
    bands = (10.0 * np.log10(np.add.reduceat(power, _EDGES[:-1]))).astype(np.float32)
    return FrameMeasure(level, flatness, _clipped(frame), bands)


def _clipped(frame: Frame) -> int:
    full = np.abs(frame) >= FULL_SCALE
    if not full.any():
        return 0
    edges = np.flatnonzero(np.diff(np.concatenate([[0], full.astype(np.int8), [0]])))
    runs = edges[1::2] - edges[::2]
    return int(runs[runs >= CLIPPED_RUN_SAMPLES].sum())
