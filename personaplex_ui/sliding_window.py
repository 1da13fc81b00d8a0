"""A limit per key on the sum within a sliding window of time: failures, bytes, calls, log records.

Plain bookkeeping: it is told what happened, and forgets it in time. Independent of this app.
"""

from collections import OrderedDict, deque
from collections.abc import Callable

MOST_KEYS = 10_000
"""Beyond it, the keys least recently added to are forgotten."""


class SlidingWindow:
    """``most``: the most each key may add up to within ``within_sec``. ``clock``: monotonic seconds.

    ``step_sec``: amounts within one step count from its start, which bounds the entries of a key.
    """

    def __init__(
        self, most: int, within_sec: float, clock: Callable[[], float], step_sec: float = 0.0
    ) -> None:
        self.most = most
        self._within_sec = within_sec
        self._clock = clock
        self._step_sec = step_sec
        self._entries: OrderedDict[str, deque[tuple[float, int]]] = OrderedDict()

    def add(self, key: str, amount: int = 1) -> None:
        now = self._now()
        entries = self._entries.setdefault(key, deque())
        if entries and entries[-1][0] == now:
            amount += entries.pop()[1]
        entries.append((now, amount))
        self._entries.move_to_end(key)
        total = sum(amount for _, amount in entries)
        while total - entries[0][1] >= self.most:  # the newer ones alone fill the window
            total -= entries.popleft()[1]
        while len(self._entries) > MOST_KEYS or self._is_over(next(iter(self._entries.values()))[-1]):
            self._entries.popitem(last=False)

    def left(self, key: str) -> int:
        """What ``key`` may still add now; negative if it has exceeded the limit."""
        return self.most - sum(amount for _, amount in self._counted(key))

    def wait_sec(self, key: str) -> float:
        """Seconds until the oldest entry of ``key`` is forgotten; 0 if it has none."""
        entries = self._counted(key)
        return entries[0][0] + self._within_sec - self._clock() if entries else 0.0

    @property
    def key_count(self) -> int:
        """Number of keys remembered."""
        return len(self._entries)

    def _counted(self, key: str) -> deque[tuple[float, int]]:
        entries = self._entries.get(key, deque[tuple[float, int]]())
        while entries and self._is_over(entries[0]):
            entries.popleft()
        if not entries:
            self._entries.pop(key, None)
        return entries

    def _is_over(self, entry: tuple[float, int]) -> bool:
        return entry[0] + self._within_sec <= self._clock()

    def _now(self) -> float:
        return self._clock() // self._step_sec * self._step_sec if self._step_sec else self._clock()
