"""How long packets are in transit, and how much that varies. Pure; the sender's clock offset is unknown."""

from collections import deque

WAIT_AT_MOST_SEC = 0.06
"""Jitter beyond this is not waited for."""

REMEMBERED_SEC = 2.0
"""A burst of late packets is forgotten after this long. Short enough to follow clock drift."""

JUMP_SEC = 1.0
"""No network varies by this much: the sender's timestamps have been reset."""

Numbers = deque[tuple[float, float]]


class Transit:
    """The transit times of the last two seconds. All may be off by the same offset."""

    def __init__(self) -> None:
        self._least: Numbers = deque()
        self._most: Numbers = deque()

    def add(self, now: float, transit_sec: float) -> None:
        if self._least and abs(transit_sec - self._least[0][1]) > JUMP_SEC:
            self._least.clear()
            self._most.clear()
        # Each keeps only values that can still become the minimum or maximum before they are forgotten.
        while self._least and self._least[-1][1] >= transit_sec:
            self._least.pop()
        while self._most and self._most[-1][1] <= transit_sec:
            self._most.pop()
        for numbers in (self._least, self._most):
            numbers.append((now, transit_sec))
            while numbers[0][0] < now - REMEMBERED_SEC:
                numbers.popleft()

    @property
    def known(self) -> bool:
        return bool(self._least)

    @property
    def fastest_sec(self) -> float:
        return self._least[0][1] if self._least else 0.0

    @property
    def jitter_sec(self) -> float:
        """How much later the slowest packet came than the fastest, up to ``WAIT_AT_MOST_SEC``."""
        return min(WAIT_AT_MOST_SEC, self._most[0][1] - self._least[0][1]) if self._most else 0.0


def unwrap(number: int, near: int, bits: int) -> int:
    """The number closest to ``near`` that has ``number`` as its lowest ``bits``."""
    half = 1 << (bits - 1)
    return near + ((number - near + half) & ((1 << bits) - 1)) - half
