"""The engine's slots and the queue of callers who wait for one: first come, first served.

Plain bookkeeping on the event loop's thread: no asyncio, no threads, no model.
"""

from collections.abc import Callable

from personaplex_ui.errors import NoFreeSlot


class SlotRequest:
    """A caller's request. ``slot``: the number of the slot it got, or None while it waits.

    ``on_change`` is called whenever its slot, its place or the number of waiting callers changes.
    """

    def __init__(self, pool: "SlotPool", on_change: Callable[[], None]) -> None:
        self._pool = pool
        self.on_change = on_change
        self.slot: int | None = None

    @property
    def place(self) -> int:
        """Position in the queue from 1; 0 with a slot."""
        return self._pool.place_of(self)

    @property
    def waiting(self) -> int:
        """Number of callers waiting now, this one included."""
        return self._pool.waiting


class SlotPool:
    """``capacity`` slots and a queue of at most ``max_waiting`` callers."""

    def __init__(self, capacity: int, max_waiting: int) -> None:
        self.capacity = capacity
        self._max_waiting = max_waiting
        self._free = list(range(capacity))
        self._queue: list[SlotRequest] = []

    @property
    def free(self) -> int:
        return len(self._free)

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def place_of(self, request: SlotRequest) -> int:
        return self._queue.index(request) + 1 if request in self._queue else 0

    def request(self, on_change: Callable[[], None]) -> SlotRequest:
        """Ask for a slot; the request has one at once if one is free.

        Raises:
            NoFreeSlot: ``max_waiting`` callers are waiting already.
        """
        request = SlotRequest(self, on_change)
        if self._free:
            request.slot = self._free.pop(0)
        elif len(self._queue) >= self._max_waiting:
            raise NoFreeSlot("All lines are taken and the queue is full. Please try again in a few minutes.")
        else:
            self._notify(self._queue)
            self._queue.append(request)
        return request

    def release(self, request: SlotRequest) -> None:
        """Return the slot, or leave the queue. Idempotent."""
        if request in self._queue:
            self._queue.remove(request)
            self._notify(self._queue)
        elif request.slot is not None:
            slot, request.slot = request.slot, None
            if self._queue:
                first = self._queue.pop(0)
                first.slot = slot
                self._notify([first, *self._queue])
            else:
                self._free.append(slot)
                self._free.sort()

    @staticmethod
    def _notify(requests: list[SlotRequest]) -> None:
        for request in requests:
            request.on_change()
