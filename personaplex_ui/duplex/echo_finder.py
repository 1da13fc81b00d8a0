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

LEAST_IN_EACH_PART = 5.0
"""Two voices that happen to have the same pitch for a second have something in common, too, but only then."""

PART_BLOCKS = 4
"""2.7 s of the source. They go by turns into one of two sums, in both of which an echo shows."""

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
        self._cross: list[Spectrum] = [np.zeros(_BINS, dtype=np.complex128) for _ in range(2)]
        self._blocks = 0
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
        whole = self._cross[0] + self._cross[1]
        whitened = _whitened_by_lag(whole)
        lag = int(np.argmax(whitened[:_LAGS]))
        prominence = _prominence(whitened, lag)
        if prominence < LEAST_PROMINENCE:
            return None
        if any(_prominence(_whitened_by_lag(part), lag) < LEAST_IN_EACH_PART for part in self._cross):
            return None
        strength = float(_by_lag(whole)[lag]) / float(_by_lag(self._power.astype(np.complex128))[0])
        if not 10 ** (FAINTEST_DB / 20) <= strength <= 10 ** (LOUDEST_DB / 20):
            return None
        return Echo(lag / _RATE_HZ, 20 * math.log10(strength), prominence)

    def _add(self) -> None:
        """One block of the source, and the other's sound from its begin to a block after its end."""
        source, self._source = self._source[:BLOCK_SAMPLES], self._source[BLOCK_SAMPLES:]
        other, self._other = self._other[:_FFT_SAMPLES], self._other[BLOCK_SAMPLES:]
        power = float(np.dot(source, source)) / max(1, len(source))
        if not 10 ** (QUIET_BLOCK_DBFS / 10) < power < math.inf or not np.isfinite(other).all():
            return
        first = np.fft.rfft(source, _FFT_SAMPLES)[:_BINS]
        second = np.fft.rfft(other, _FFT_SAMPLES)[:_BINS]
        self._cross[self._blocks // PART_BLOCKS % 2] += np.conj(first) * second
        self._blocks += 1
        self._power += first.real**2 + first.imag**2


def _by_lag(spectrum: Spectrum) -> Powers:
    """At 8 kHz: lags from 0 on, and negative ones from the end."""
    return np.asarray(np.fft.irfft(spectrum, 2 * _BINS))


def _whitened_by_lag(cross: Spectrum) -> Powers:
    """Zeros where nothing was summed up."""
    magnitude = np.abs(cross)
    loud = magnitude > 1e-6 * magnitude.max()
    loud[:_LOWEST_BIN] = False
    return _by_lag(np.where(loud, cross / np.where(loud, magnitude, 1.0), 0.0))


def _prominence(by_lag: Powers, peak: int) -> float:
    """How high the peak is, in standard deviations of the lags around the wanted ones without what belongs to
    it."""
    around = np.concatenate([by_lag[: 2 * _LAGS], by_lag[-_LAGS:]])
    near = _RATE_HZ // 50
    around = np.delete(around, slice(max(0, peak - near), peak + near))
    spread = float(np.std(around))
    return float(by_lag[peak]) / spread if spread else 0.0
