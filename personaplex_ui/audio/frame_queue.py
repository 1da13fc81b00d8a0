"""A bounded queue of frames that never lets lag grow.

Used in both directions of a call: frames that wait for the model, and answers that wait for play-out. Not
thread-safe: its owner holds the lock.
"""

from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class FrameQueue(Generic[Item]):
    """First in, first out; items that wait too long are dropped, oldest first, and counted.

    A burst may fill it up to ``capacity``. One that is longer, as from a client that kept what it recorded
    while it waited, is cut back to ``target`` at once, and so is the rest of it: no such backlog goes away by
    itself, and later it would be cut in the middle of a word. A backlog of more than ``target`` that lasts
    for ``patience`` takes in a row is not jitter but lag: it is cut back likewise.
    """

    def __init__(self, capacity: int = 6, target: int = 1, patience: int = 6) -> None:
        assert 1 <= target <= capacity
        self._items: deque[Item] = deque()
        self._capacity = capacity
        self._target = target
        self._patience = patience
        self._takes_over_target = 0
        self._overflowed = False
        """Since the last take."""
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: Item) -> None:
        self._items.append(item)
        if len(self._items) > (self._target if self._overflowed else self._capacity):
            self._overflowed = True
            self._cut()

    def take(self) -> Item | None:
        """The oldest item, or None. Call it once per frame, and again to catch up after a missed one."""
        self._overflowed = False
        if not self._items:
            self._takes_over_target = 0
            return None
        if len(self._items) > self._target:
            self._takes_over_target += 1
        else:
            self._takes_over_target = 0
        if self._takes_over_target >= self._patience:
            self._cut()
        return self._items.popleft()

    def clear(self) -> None:
        self._items.clear()
        self._takes_over_target = 0
        self._overflowed = False

    def _cut(self) -> None:
        self._takes_over_target = 0
        while len(self._items) > self._target:
            self._items.popleft()
            self.dropped += 1
