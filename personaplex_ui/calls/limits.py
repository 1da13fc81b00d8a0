"""How many calls one network address may have at once, and begin in a minute.

Plain bookkeeping: told the time, it refuses with a sentence. An empty address is nobody's, and not limited.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable

from personaplex_ui.errors import TooManyCalls

MINUTE_SEC = 60.0
MOST_ADDRESSES = 10_000
"""Of those that began a call within the last minute. Beyond it the oldest are forgotten."""


class AddressLimits:
    """``at_once`` and ``per_minute``: 0 means no limit."""

    def __init__(self, at_once: int, per_minute: int, clock: Callable[[], float]) -> None:
        self._at_once = at_once
        self._per_minute = per_minute
        self._clock = clock
        self._live: Counter[str] = Counter()
        self._begun: OrderedDict[str, deque[float]] = OrderedDict()

    def admit(self, address: str) -> None:
        """Count a new call of ``address``; ``release`` it at its end.

        Raises:
            TooManyCalls: it has as many as it may have, or began too many just now.
        """
        if not address:
            return
        self.check(address)
        now = self._clock()
        begun = self._begun.setdefault(address, deque())
        while begun and begun[0] <= now - MINUTE_SEC:
            begun.popleft()
        if self._per_minute and len(begun) >= self._per_minute:
            wait_sec = round(begun[0] + MINUTE_SEC - now) + 1
            raise TooManyCalls(
                f"Your network has begun {self._per_minute} calls within a minute, as many as are allowed. "
                f"Please try again in {wait_sec} seconds."
            )
        begun.append(now)
        self._begun.move_to_end(address)
        self._live[address] += 1
        while self._begun and (len(self._begun) > MOST_ADDRESSES or self._oldest() <= now - MINUTE_SEC):
            self._begun.popitem(last=False)

    def check(self, address: str) -> None:
        """As ``admit``, before work that comes before a call; it counts nothing."""
        if address and self._at_once and self._live[address] >= self._at_once:
            raise TooManyCalls(
                f"Your network has as many calls already as it may have at once ({self._at_once}). "
                "Please end one of them first."
            )

    def release(self, address: str) -> None:
        """A call of ``address`` has ended."""
        if not address:
            return
        self._live[address] -= 1
        if self._live[address] <= 0:
            del self._live[address]

    def _oldest(self) -> float:
        begun = next(iter(self._begun.values()))
        return begun[-1] if begun else 0.0
