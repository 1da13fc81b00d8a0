"""Lines: the right to one of the engine's slots, first come, first served.

Plain bookkeeping: no asyncio, no threads, no model. Lives on the event loop's thread.
"""

from collections.abc import Callable

from personaplex_ui.errors import LinesBusy


class QueuePlace:
    """A caller's claim to a line. ``line`` is the slot it got, or None while it waits.

    ``on_change`` is called whenever its line, its place or the number of those who wait changes.
    """

    def __init__(self, lines: "SlotPool", on_change: Callable[[], None]) -> None:
        self._lines = lines
        self.on_change = on_change
        self.line: int | None = None

    @property
    def place(self) -> int:
        """Position in the queue from 1; 0 with a line."""
        return self._lines.place_of(self)

    @property
    def waiting(self) -> int:
        """How many callers wait now, this one included."""
        return self._lines.waiting


class SlotPool:
    """``capacity`` lines and a queue of at most ``max_waiting`` callers."""

    def __init__(self, capacity: int, max_waiting: int) -> None:
        self.capacity = capacity
        self._max_waiting = max_waiting
        self._free = list(range(capacity))
        self._queue: list[QueuePlace] = []

    @property
    def free(self) -> int:
        return len(self._free)

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def place_of(self, ticket: QueuePlace) -> int:
        return self._queue.index(ticket) + 1 if ticket in self._queue else 0

    def ask(self, on_change: Callable[[], None]) -> QueuePlace:
        """Ask for a line; the ticket has one at once if one is free.

        Raises:
            LinesBusy: ``max_waiting`` callers wait already.
        """
        ticket = QueuePlace(self, on_change)
        if self._free:
            ticket.line = self._free.pop(0)
        elif len(self._queue) >= self._max_waiting:
            raise LinesBusy("All lines are taken and the queue is full. Please try again in a few minutes.")
        else:
            self._tell(self._queue)
            self._queue.append(ticket)
        return ticket

    def release(self, ticket: QueuePlace) -> None:
        """Give the line back, or leave the queue. Doing it twice changes nothing."""
        if ticket in self._queue:
            self._queue.remove(ticket)
            self._tell(self._queue)
        elif ticket.line is not None:
            line, ticket.line = ticket.line, None
            if self._queue:
                first = self._queue.pop(0)
                first.line = line
                self._tell([first, *self._queue])
            else:
                self._free.append(line)
                self._free.sort()

    @staticmethod
    def _tell(tickets: list[QueuePlace]) -> None:
        for ticket in tickets:
            ticket.on_change()
