"""Mixes the channels of a sound file down to one, and measures whether that cancels them out.

Depends on samples only. The mean of the channels is taken; but if they are in opposite phase, as from a
wrongly wired microphone, the mean is silence, and one channel has to stand for all.
"""

import numpy as np
import numpy.typing as npt

from personaplex_ui.audio.frames import Samples

WINDOW_SEC = 0.25
"""Short enough for a word, long enough that unrelated channels do not look opposite by chance."""

AUDIBLE_POWER = 1e-5
"""-50 dBFS in the loudest channel: below it there is nothing to lose."""

CANCELLED_RATIO = 0.25
"""The mean of unrelated channels has a known power; with less than a quarter of it, sound was lost. For two
channels of equal power that is a correlation below -0.75."""

CANCELLED_SEC, CANCELLED_SHARE = 0.5, 0.1
"""The mean is not used if it loses this many seconds, or this share of a shorter file."""


class Mixdown:
    """Mono from all channels of one file, or from ``channel`` alone."""

    def __init__(self, channel: int | None = None) -> None:
        self._channel = channel
        self._window: npt.NDArray[np.float64] = np.zeros(0)
        self._window_mean = 0.0
        self._window_samples = 0
        self._power: npt.NDArray[np.float64] = np.zeros(0)
        self._audible_sec = 0.0
        self._cancelled_sec = 0.0

    @property
    def cancels(self) -> bool:
        """Whether the mean lost sound of the channels mixed so far."""
        least_sec = min(CANCELLED_SEC, CANCELLED_SHARE * self._audible_sec)
        return self._cancelled_sec > 0.0 and self._cancelled_sec >= least_sec

    @property
    def loudest_channel(self) -> int:
        """The channel with the most power so far; the first of equals."""
        return int(np.argmax(self._power)) if len(self._power) else 0

    def mono(self, sound: Samples, rate_hz: int) -> Samples:
        """``[channels, n]`` as ``[n]``."""
        channels, length = sound.shape
        if self._channel is not None:
            return np.ascontiguousarray(sound[min(self._channel, channels - 1)])
        mean = sound.mean(axis=0, dtype=np.float64)
        if channels > 1 and length:
            self._measure(sound, mean, rate_hz)
        return mean.astype(np.float32)

    def finish(self, rate_hz: int) -> None:
        """Judge the last piece, however short."""
        if not self._window_samples:
            return
        powers = self._window / self._window_samples
        mean_power = self._window_mean / self._window_samples
        sec = self._window_samples / rate_hz
        if powers.max() > AUDIBLE_POWER:
            self._audible_sec += sec
            unrelated = powers.sum() / len(powers) ** 2
            self._cancelled_sec += sec if mean_power < CANCELLED_RATIO * unrelated else 0.0
        self._power = _sum(self._power, self._window)
        self._window, self._window_mean, self._window_samples = np.zeros(0), 0.0, 0

    def _measure(self, sound: Samples, mean: npt.NDArray[np.float64], rate_hz: int) -> None:
        if len(self._window) not in (0, len(sound)):  # a chained file may change its channels
            self.finish(rate_hz)
        self._window = _sum(self._window, np.square(sound, dtype=np.float64).sum(axis=1))
        self._window_mean += float(np.square(mean).sum())
        self._window_samples += len(mean)
        if self._window_samples >= WINDOW_SEC * rate_hz:
            self.finish(rate_hz)


def _sum(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    longest = max(len(one), len(other))
    return np.pad(one, (0, longest - len(one))) + np.pad(other, (0, longest - len(other)))
