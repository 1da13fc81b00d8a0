"""How long the newest steps of the model took: the engine's thread writes, others read. Knows no clock."""

import threading
from collections import deque

from personaplex_ui.audio.frames import FRAME_SEC

NEWEST = 250
"""Steps that are looked at: twenty seconds of a live call."""


class TickTimes:
    """The newest steps. ``add`` costs the engine about a microsecond."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest: deque[float] = deque(maxlen=NEWEST)

    def add(self, sec: float) -> None:
        with self._lock:
            self._newest.append(sec)

    def _sorted(self) -> list[float]:
        with self._lock:
            return sorted(self._newest)

    @property
    def mean_sec(self) -> float | None:
        """None before the first step."""
        newest = self._sorted()
        return sum(newest) / len(newest) if newest else None

    @property
    def p95_sec(self) -> float | None:
        """Nineteen steps of twenty took at most so long. None before the first step."""
        newest = self._sorted()
        return newest[-(-len(newest) * 95 // 100) - 1] if newest else None

    @property
    def real_time_factor(self) -> float | None:
        """The mean as a part of the 80 ms there are; over 1 the model is too slow. None before the first."""
        mean_sec = self.mean_sec
        return None if mean_sec is None else mean_sec / FRAME_SEC
