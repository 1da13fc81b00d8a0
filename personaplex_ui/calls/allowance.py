"""The minutes of calls that each visitor has a day.

A visitor is counted by cookie and by network address, whichever has used more, because a cookie can be thrown
away; those behind one address share its minutes. A day begins at midnight UTC; a call that goes on over
midnight counts for both days. Pure but for the store, which lets the counts survive a restart.
"""

import hashlib
import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from personaplex_ui.errors import MinutesUsedUp

DAY_SEC = 86_400
SHORTEST_CALL_SEC = 15.0
"""With less left, no call begins: its first words would be the goodbye."""
MOST_KEYS = 10_000
"""Beyond it, those who called least recently are forgotten."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody on the page, or a program without a key. ``owner``: their cookie; ``address``: see
    ``client_address``; either may be empty, if it is unknown."""

    owner: str = ""
    address: str = ""

    @property
    def keys(self) -> tuple[str, ...]:
        """What the visitor is counted by, as hashes: what is kept names nobody."""
        known = (("cookie", self.owner), ("address", self.address))
        return tuple(hashlib.sha256(f"{kind} {text}".encode()).hexdigest() for kind, text in known if text)


class SpentStore(Protocol):
    """Keeps the seconds that were used on a day (days since 1970). Its methods block."""

    def load(self, day: int) -> Mapping[str, float]: ...

    def save(self, day: int, spent: Mapping[str, float]) -> None: ...


class Allowance:
    """``day_sec``: of each visitor, 0 for no limit. ``clock``: seconds since 1970."""

    def __init__(self, day_sec: float, clock: Callable[[], float], store: SpentStore | None = None) -> None:
        self.day_sec = day_sec
        self._clock = clock
        self._store = store
        self._day = self._today()
        self._spent: OrderedDict[str, float] = OrderedDict()

    def load(self) -> None:
        """Read what was used before a restart. Blocks."""
        if self._store is not None and self.day_sec:
            self._spent = OrderedDict(self._store.load(self._today()))

    def used_by(self, visitor: Visitor) -> dict[str, float]:
        """Seconds of today, by the visitor's keys; for ``save``, which may run in a thread."""
        return {key: self._spent[key] for key in visitor.keys if key in self._spent}

    def save(self, used: Mapping[str, float]) -> None:
        """Write what a visitor has used. Blocks."""
        if self._store is not None and used:
            self._store.save(self._day, used)

    def left_sec(self, visitor: Visitor | None) -> float:
        """What ``visitor`` may still use today, infinite without a limit. None: who is not counted."""
        if visitor is None or not self.day_sec:
            return math.inf
        self._begin_day()
        used = max((self._spent.get(key, 0.0) for key in visitor.keys), default=0.0)
        return max(0.0, self.day_sec - used)

    @property
    def again_at(self) -> float:
        """When the next day begins, in seconds since 1970."""
        return (self._today() + 1.0) * DAY_SEC

    def check(self, visitor: Visitor | None, wanted_sec: float = SHORTEST_CALL_SEC) -> None:
        """Raises MinutesUsedUp: ``visitor`` has less than ``wanted_sec`` left."""
        left = self.left_sec(visitor)
        if left < SHORTEST_CALL_SEC:
            raise MinutesUsedUp(self.used_up)
        if left < wanted_sec:
            raise MinutesUsedUp(
                f"This recording is longer than what you have left today, {in_words(left)}. {self._back}"
            )

    def spend(self, visitor: Visitor | None, sec: float) -> None:
        """``visitor`` has talked for ``sec`` more."""
        if visitor is None or not self.day_sec or sec <= 0.0:
            return
        self._begin_day()
        for key in visitor.keys:
            self._spent[key] = self._spent.get(key, 0.0) + sec
            self._spent.move_to_end(key)
        while len(self._spent) > MOST_KEYS:
            self._spent.popitem(last=False)

    @property
    def used_up(self) -> str:
        """The sentence for whoever has nothing left."""
        return f"Your {in_words(self.day_sec)} of calls for today are used up. {self._back}"

    @property
    def _back(self) -> str:
        minutes = math.ceil((self.again_at - self._clock()) / 60)
        when = f"{minutes} minutes" if minutes < 90 else f"{round(minutes / 60)} hours"
        return f"You have all of them again in {when}."

    def _today(self) -> int:
        return int(self._clock() // DAY_SEC)

    def _begin_day(self) -> None:
        if self._day != self._today():
            self._day = self._today()
            self._spent.clear()


def in_words(sec: float) -> str:
    """90 -> "1 minute and 30 seconds"."""
    minutes, seconds = divmod(round(sec), 60)
    parts = [f"{minutes} minutes" if minutes != 1 else "1 minute"] if minutes else []
    parts += [f"{seconds} seconds"] if seconds or not minutes else []
    return " and ".join(parts)
