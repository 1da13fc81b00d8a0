"""How long the latest steps of the model took. Used on the event loop's thread."""

import math
from collections import deque
from statistics import fmean

from personaplex_ui.audio.frames import FRAME_SEC

NEWEST = 250
"""Number of steps considered: twenty seconds of a live call."""


class TickTimes:
    """All properties are None before the first step."""

    def __init__(self) -> None:
        self._newest: deque[float] = deque(maxlen=NEWEST)

    def add(self, sec: float) -> None:
        self._newest.append(sec)

    @property
    def mean_sec(self) -> float | None:
        return fmean(self._newest) if self._newest else None

    @property
    def p95_sec(self) -> float | None:
        """The time that 95 % of the steps stay within."""
        return sorted(self._newest)[math.ceil(0.95 * len(self._newest)) - 1] if self._newest else None

    @property
    def real_time_factor(self) -> float | None:
        """The mean as a fraction of 80 ms; above 1 the model is too slow."""
        return None if self.mean_sec is None else self.mean_sec / FRAME_SEC
