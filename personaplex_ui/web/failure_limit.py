"""How many wrong passwords one network address may send.

Plain bookkeeping by addresses: it knows the time and no secret. Who sent too many is refused for a while,
with a right password too, so that guessing on teaches nothing.
"""

import math
from collections import OrderedDict, deque
from collections.abc import Callable

WITHIN_SEC = 300.0
MOST = 10
MOST_OF_NOBODY = 100
"""Of the empty address, which many share: those whose address is not known."""
MOST_ADDRESSES = 10_000
"""Beyond it, those whose last failure is the longest ago are forgotten."""


class FailureLimit:
    """At most ``MOST`` failures within ``WITHIN_SEC`` of one address."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_sec(self, address: str) -> int:
        """Seconds until ``address`` may try again, rounded up; 0: now."""
        failures = self._failures.get(address)
        if failures is None or len(failures) < _most(address):
            return 0
        return max(0, math.ceil(failures[0] + WITHIN_SEC - self._clock()))

    def add(self, address: str) -> None:
        """``address`` failed once more."""
        now = self._clock()
        self._failures.setdefault(address, deque(maxlen=_most(address))).append(now)
        self._failures.move_to_end(address)
        while len(self._failures) > MOST_ADDRESSES or self._oldest() <= now - WITHIN_SEC:
            self._failures.popitem(last=False)

    def __len__(self) -> int:
        """Addresses that are remembered."""
        return len(self._failures)

    def _oldest(self) -> float:
        return next(iter(self._failures.values()))[-1]


def _most(address: str) -> int:
    return MOST if address else MOST_OF_NOBODY
