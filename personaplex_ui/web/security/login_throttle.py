"""How many wrong passwords one network address may send, and all of them together.

Plain bookkeeping by addresses: it knows the time and no secret. Who sent too many is refused for a while,
with a right password too, so that guessing on teaches nothing. The total holds where addresses do not: behind
a proxy that passes on whatever address a client claims, or for somebody who has many. It spares addresses
that came in before, so that guessing cannot lock out those who know the password.
"""

import math
from collections import OrderedDict, deque
from collections.abc import Callable

WITHIN_SEC = 300.0
MOST = 10
MOST_OF_NOBODY = 100
"""Of the empty address, which many share: those whose address is not known."""
MOST_IN_ALL = 50
"""Of all known addresses; when they are spent, one more is looked at every 6 s."""
MOST_ADDRESSES = 10_000
"""Beyond it, those whose last failure is the longest ago are forgotten."""
SPARED_SEC = 30 * 86_400.0
"""So long an address that showed something right is spared by the total."""


class LoginThrottle:
    """At most ``MOST`` failures within ``WITHIN_SEC`` of one address, and ``MOST_IN_ALL`` of all."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()
        self._all: deque[float] = deque(maxlen=MOST_IN_ALL)
        self._came_in: OrderedDict[str, float] = OrderedDict()

    def wait_sec(self, address: str) -> int:
        """Seconds until ``address`` may try again, rounded up; 0: now."""
        failures = self._failures.get(address, deque[float]())
        own_sec = self._until_forgotten_sec(failures) if len(failures) >= _most(address) else 0
        return own_sec or self._wait_for_all_sec(address)

    def is_total_spent(self) -> bool:
        """Whether addresses that are not known from before are refused."""
        return len(self._all) == MOST_IN_ALL and self._until_forgotten_sec(self._all) > 0

    def add(self, address: str) -> None:
        """``address`` failed once more."""
        now = self._clock()
        if address:
            self._all.append(now)
        self._failures.setdefault(address, deque(maxlen=_most(address))).append(now)
        self._failures.move_to_end(address)
        while len(self._failures) > MOST_ADDRESSES or self._oldest() <= now - WITHIN_SEC:
            self._failures.popitem(last=False)

    def spare(self, address: str) -> None:
        """``address`` showed something right."""
        self._came_in[address] = self._clock()
        self._came_in.move_to_end(address)
        while len(self._came_in) > MOST_ADDRESSES:
            self._came_in.popitem(last=False)

    def __len__(self) -> int:
        """Addresses whose failures are remembered."""
        return len(self._failures)

    def _wait_for_all_sec(self, address: str) -> int:
        came_in_at = self._came_in.get(address, -math.inf)
        if not address or not self.is_total_spent() or came_in_at + SPARED_SEC > self._clock():
            return 0
        return self._until_forgotten_sec(self._all)

    def _until_forgotten_sec(self, failures: deque[float]) -> int:
        return max(0, math.ceil(failures[0] + WITHIN_SEC - self._clock())) if failures else 0

    def _oldest(self) -> float:
        return next(iter(self._failures.values()))[-1]


def _most(address: str) -> int:
    return MOST if address else MOST_OF_NOBODY
