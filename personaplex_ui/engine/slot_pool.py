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
        self.max_waiting = max_waiting
        self._taken: set[int] = set()
        self._queue: list[SlotRequest] = []

    @property
    def free(self) -> int:
        return len(self._free_slots())

    @property
    def taken(self) -> int:
        return len(self._taken)

    def _free_slots(self) -> list[int]:
        return [slot for slot in range(self.capacity) if slot not in self._taken]

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
        if self.free:
            self._give_slot(request)
        elif len(self._queue) >= self.max_waiting:
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
            self._taken.remove(request.slot)
            request.slot = None
            self._serve_queue()

    def resize(self, capacity: int) -> None:
        """Have ``capacity`` slots from now on, the first ones. New slots go to those who wait; a slot beyond
        ``capacity`` that is taken vanishes when it is released."""
        self.capacity = capacity
        self._serve_queue()

    def _serve_queue(self) -> None:
        served = self._queue[: self.free]
        if not served:
            return
        told = list(self._queue)
        del self._queue[: len(served)]
        for request in served:
            self._give_slot(request)
        self._notify(told)

    def _give_slot(self, request: SlotRequest) -> None:
        request.slot = self._free_slots()[0]
        self._taken.add(request.slot)

    @staticmethod
    def _notify(requests: list[SlotRequest]) -> None:
        for request in requests:
            request.on_change()
