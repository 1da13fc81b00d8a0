"""A bounded queue of frames that never lets lag grow.

Used in both directions of a call: frames that wait for the model, and answers that wait for play-out. Not
thread-safe: its owner holds the lock.
"""

from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class FrameQueue(Generic[Item]):
    """First in, first out; items that wait too long are dropped, oldest first, and counted.

    A burst may fill it up to ``capacity``; beyond that the oldest item is dropped at once. A backlog of more
    than ``target`` that lasts for ``patience`` takes in a row is not jitter but lag: it is cut back to
    ``target``.
    """

    def __init__(self, capacity: int = 6, target: int = 1, patience: int = 6) -> None:
        assert 1 <= target <= capacity
        self._items: deque[Item] = deque()
        self._capacity = capacity
        self._target = target
        self._patience = patience
        self._takes_over_target = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: Item) -> None:
        self._items.append(item)
        if len(self._items) > self._capacity:
            self._items.popleft()
            self.dropped += 1

    def take(self) -> Item | None:
        """The oldest item, or None. Call it once per frame, and again to catch up after a missed one."""
        if not self._items:
            self._takes_over_target = 0
            return None
        if len(self._items) > self._target:
            self._takes_over_target += 1
        else:
            self._takes_over_target = 0
        if self._takes_over_target >= self._patience:
            self._takes_over_target = 0
            while len(self._items) > self._target:
                self._items.popleft()
                self.dropped += 1
        return self._items.popleft()

    def clear(self) -> None:
        self._items.clear()
        self._takes_over_target = 0
