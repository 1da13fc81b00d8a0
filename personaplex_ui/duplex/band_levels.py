"""The loudness of one side, every 10 ms, in the band of speech. It takes sound in blocks of any length."""

from array import array

import numpy as np
import numpy.typing as npt

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples
from personaplex_ui.audio.levels import SILENCE_DBFS

STEP_SEC = 0.01
STEP_SAMPLES = 240
"""One level for so many samples."""

WINDOW_SAMPLES = 480
"""20 ms, around the 10 ms of the level: longer than a pitch period, shorter than a sound of speech."""

LOWEST_HZ = 200.0
"""Mains hum and its strongest overtones are below, and no voice is only there."""

FILTER_SAMPLES = 1_201
"""Of the high pass (a windowed sinc), 50 ms: it passes from 230 Hz on and stops below 165 Hz (by 50 dB)."""

BATCH_STEPS = 1_000
"""Levels computed at a time: 10 s of sound."""

Levels = npt.NDArray[np.float32]
"""dBFS, one value for 10 ms."""


def _window() -> Samples:
    window = np.asarray(np.hanning(WINDOW_SAMPLES + 1)[:-1] ** 2)
    return (window / np.sum(window)).astype(np.float32)


_WINDOW = _window()
_FLOOR = 10 ** (SILENCE_DBFS / 10)
_BATCH_SAMPLES = BATCH_STEPS * STEP_SAMPLES
_BEFORE_SAMPLES = (WINDOW_SAMPLES - STEP_SAMPLES) // 2 + FILTER_SAMPLES // 2
"""Sound before a step that counts for its level."""


def _high_pass() -> Samples:
    around = np.arange(FILTER_SAMPLES) - FILTER_SAMPLES // 2
    low_pass = np.sinc(2 * LOWEST_HZ / SAMPLE_RATE_HZ * around) * np.hamming(FILTER_SAMPLES)
    high_pass = -low_pass / np.sum(low_pass)
    high_pass[FILTER_SAMPLES // 2] += 1.0
    return high_pass.astype(np.float32)


_FFT_SAMPLES = 1 << 18
_FILTER = np.fft.rfft(_high_pass(), _FFT_SAMPLES).astype(np.complex64)
"""Of the length of a batch and what it needs around it."""


class BandLevels:
    """4 bytes a level: 1.4 MB an hour."""

    def __init__(self) -> None:
        self._levels = array("f")
        self._waiting: list[Samples] = [np.zeros(_BEFORE_SAMPLES, dtype=np.float32)]
        self._waiting_samples = _BEFORE_SAMPLES
        self._samples = 0

    def push(self, samples: Samples) -> None:
        """Take the next samples ``[n]``, 24 kHz. NaN and infinity count as silence."""
        self._samples += len(samples)
        self._waiting.append(np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0))
        self._waiting_samples += len(samples)
        if self._waiting_samples >= _BATCH_SAMPLES + 2 * _BEFORE_SAMPLES:
            self._measure()

    def finish(self) -> Levels:
        """All levels; the last one of a step that is not whole is left out."""
        rest = np.zeros(_BATCH_SAMPLES + 2 * _BEFORE_SAMPLES, dtype=np.float32)
        self._waiting.append(rest)
        self._waiting_samples += len(rest)
        self._measure()
        return np.array(self._levels[: self._samples // STEP_SAMPLES], dtype=np.float32)

    def _measure(self) -> None:
        """All whole batches."""
        sound = np.concatenate(self._waiting)
        needed = _BATCH_SAMPLES + 2 * _BEFORE_SAMPLES
        start = 0
        while len(sound) - start >= needed:
            self._levels.frombytes(_levels_of(sound[start : start + needed]).tobytes())
            start += _BATCH_SAMPLES
        self._waiting, self._waiting_samples = [sound[start:]], len(sound) - start


def _levels_of(sound: Samples) -> Levels:
    """Of one batch, with the sound before and after it that its filter and its windows need."""
    spectrum = np.fft.rfft(sound, _FFT_SAMPLES)
    filtered = np.fft.irfft(spectrum * _FILTER, _FFT_SAMPLES)[FILTER_SAMPLES - 1 : len(sound)]
    windows = np.lib.stride_tricks.sliding_window_view(filtered**2, WINDOW_SAMPLES)[::STEP_SAMPLES]
    power = windows[:BATCH_STEPS] @ _WINDOW
    return (10.0 * np.log10(np.maximum(power, _FLOOR))).astype(np.float32)
