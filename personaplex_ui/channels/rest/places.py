"""How many requests are worked on at once, and who waits. First come, first served."""

import asyncio
from collections import deque

from personaplex_ui.errors import EngineUnavailable, NoFreeSlot

WAITS_AT_MOST_SEC = 60.0
AGAIN = "Please try again in a few seconds."


class Place:
    """One request's place: ``taken`` once it is its turn; to be given back with ``leave``."""

    def __init__(self, places: "Places", turn: "asyncio.Future[None]") -> None:
        self._places = places
        self._turn = turn

    @property
    def number(self) -> int:
        """How many requests go before it, itself included; 0 when it is its turn."""
        return self._places.number_of(self._turn)

    async def taken(self) -> None:
        """Wait for the turn.

        Raises:
            EngineUnavailable: it did not come in time.
        """
        try:
            async with asyncio.timeout(WAITS_AT_MOST_SEC):
                await asyncio.shield(self._turn)
        except TimeoutError:
            raise EngineUnavailable(
                f"The request waited {WAITS_AT_MOST_SEC:.0f} s for its turn in vain. {AGAIN}"
            ) from None

    def leave(self) -> None:
        """Idempotent."""
        self._places.leave(self._turn)


class Places:
    """``at_once`` requests are worked on, and ``most_waiting`` more may wait."""

    def __init__(self, at_once: int, most_waiting: int) -> None:
        self._at_once = at_once
        self._most_waiting = most_waiting
        self._working: set[asyncio.Future[None]] = set()
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def working(self) -> int:
        return len(self._working)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def enter(self) -> Place:
        """
        Raises:
            NoFreeSlot: as many wait as may.
        """
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if len(self._working) >= self._at_once and len(self._waiting) >= self._most_waiting:
            raise NoFreeSlot(
                f"{self.working} requests are worked on and {self.waiting} wait, as many as may. {AGAIN}"
            )
        self._waiting.append(turn)
        self._begin_next()
        return Place(self, turn)

    def number_of(self, turn: "asyncio.Future[None]") -> int:
        return self._waiting.index(turn) + 1 if turn in self._waiting else 0

    def leave(self, turn: "asyncio.Future[None]") -> None:
        self._working.discard(turn)
        if turn in self._waiting:
            self._waiting.remove(turn)
        self._begin_next()

    def _begin_next(self) -> None:
        while self._waiting and len(self._working) < self._at_once:
            turn = self._waiting.popleft()
            self._working.add(turn)
            turn.set_result(None)
