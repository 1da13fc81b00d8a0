"""Whether one side is heard in the other's channel: how much later, and how much less loud.

The cross spectrum of both sides, summed up over the whole recording and whitened, has a peak where the one
comes back in the other (the generalised cross correlation with phase transform: Knapp and Carter 1976, IEEE
Trans. ASSP 24(4)). At that lag the echo's strength is the cross correlation over the energy of the first.
Memory and time do not depend on where anybody speaks; 4 kHz of bandwidth are enough.
"""

import math

import numpy as np
import numpy.typing as npt

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples
from personaplex_ui.duplex.report import Echo

BLOCK_SAMPLES = 16_384
"""0.68 s: the longest lag that a block shows."""

MOST_LAG_SEC = 0.6
"""A room, a loudspeaker's buffer and a telephone network together stay below it."""

HIGHEST_HZ = 4_000
QUIET_BLOCK_DBFS = -60.0
"""What is not heard in a block of the one side cannot come back in the other."""

LEAST_PROMINENCE = 9.0
"""Standard deviations. Of the 5,000 lags of sides that have nothing in common the highest had 8 at most, in a
hundred conversations."""

FAINTEST_DB, LOUDEST_DB = -50.0, 0.0
"""Fainter, nobody hears it. What is louder than its source is no echo: it is the other way round."""

_FFT_SAMPLES = 2 * BLOCK_SAMPLES
_BINS = _FFT_SAMPLES * HIGHEST_HZ // SAMPLE_RATE_HZ
_RATE_HZ = 2 * HIGHEST_HZ
_LAGS = round(MOST_LAG_SEC * _RATE_HZ)
_LOWEST_BIN = math.ceil(_FFT_SAMPLES * 100 / SAMPLE_RATE_HZ)

Spectrum = npt.NDArray[np.complex128]
Powers = npt.NDArray[np.float64]


class EchoFinder:
    """Takes both sides in blocks of any length, together."""

    def __init__(self) -> None:
        self._cross: Spectrum = np.zeros(_BINS, dtype=np.complex128)
        self._power: Powers = np.zeros(_BINS, dtype=np.float64)
        self._source: Samples = np.zeros(0, dtype=np.float32)
        self._other: Samples = np.zeros(0, dtype=np.float32)

    def push(self, source: Samples, other: Samples) -> None:
        """The next samples of the one who may come back, and of the channel where; each ``[n]``, 24 kHz."""
        self._source = np.concatenate([self._source, source])
        self._other = np.concatenate([self._other, other])
        while len(self._other) >= _FFT_SAMPLES:
            self._add()

    def found(self) -> Echo | None:
        """After the last block. None where nothing comes back."""
        while len(self._source):
            self._add()
        magnitude = np.abs(self._cross)
        if not magnitude.any():
            return None
        loud = magnitude > 1e-6 * magnitude.max()
        loud[:_LOWEST_BIN] = False
        whitened = np.where(loud, self._cross / np.where(loud, magnitude, 1.0), 0.0)
        by_lag = _by_lag(whitened)
        lag = int(np.argmax(by_lag[:_LAGS]))
        spread = _spread(by_lag, lag)
        strength = float(_by_lag(self._cross)[lag]) / float(_by_lag(self._power.astype(np.complex128))[0])
        prominence = float(by_lag[lag]) / spread if spread else 0.0
        if prominence < LEAST_PROMINENCE or strength <= 0:
            return None
        level_db = 20 * math.log10(strength)
        return Echo(lag / _RATE_HZ, level_db, prominence) if FAINTEST_DB <= level_db <= LOUDEST_DB else None

    def _add(self) -> None:
        """One block of the source, and the other's sound from its begin to a block after its end."""
        source, self._source = self._source[:BLOCK_SAMPLES], self._source[BLOCK_SAMPLES:]
        other, self._other = self._other[:_FFT_SAMPLES], self._other[BLOCK_SAMPLES:]
        power = float(np.dot(source, source)) / max(1, len(source))
        if not 10 ** (QUIET_BLOCK_DBFS / 10) < power < math.inf or not np.isfinite(other).all():
            return
        first = np.fft.rfft(source, _FFT_SAMPLES)[:_BINS]
        second = np.fft.rfft(other, _FFT_SAMPLES)[:_BINS]
        self._cross += np.conj(first) * second
        self._power += first.real**2 + first.imag**2


def _by_lag(spectrum: Spectrum) -> Powers:
    """At 8 kHz: lags from 0 on, and negative ones from the end."""
    return np.fft.irfft(spectrum, 2 * _BINS)


def _spread(by_lag: Powers, peak: int) -> float:
    """The standard deviation of the lags around the wanted ones, without what belongs to the peak."""
    around = np.concatenate([by_lag[: 2 * _LAGS], by_lag[-_LAGS:]])
    near = _RATE_HZ // 50
    around = np.delete(around, slice(max(0, peak - near), peak + near))
    return float(np.std(around))
