"""How many wrong passwords one network address may send, and all of them together.

Plain bookkeeping by addresses: it knows the time and no secret. Who sent too many is refused for a while,
with a right password too, so that guessing on teaches nothing. The total holds where addresses do not: behind
a proxy that passes on whatever address a client claims, or for somebody who has many. It spares addresses
that came in before, so that guessing cannot lock out those who know the password.
"""

import math
from collections.abc import Callable

from personaplex_ui.sliding_window import SlidingWindow

WITHIN_SEC = 300.0
MOST = 10
MOST_OF_UNKNOWN = 100
"""Of the empty address, which many share: those whose address is not known."""
MOST_IN_ALL = 50
"""Of all known addresses; when they are spent, one more is looked at every 6 s."""
SPARED_SEC = 30 * 86_400.0
"""How long an address that showed something right is spared by the total."""


class LoginThrottle:
    """At most ``MOST`` failures within ``WITHIN_SEC`` of one address, and ``MOST_IN_ALL`` of all."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._of_one = SlidingWindow(MOST, WITHIN_SEC, clock)
        self._of_unknown = SlidingWindow(MOST_OF_UNKNOWN, WITHIN_SEC, clock)
        self._of_all = SlidingWindow(MOST_IN_ALL, WITHIN_SEC, clock)
        self._came_in = SlidingWindow(1, SPARED_SEC, clock)

    def wait_sec(self, address: str) -> int:
        """Seconds until ``address`` may try again, rounded up; 0: now."""
        own = self._of_one if address else self._of_unknown
        if own.left(address) <= 0:
            return math.ceil(own.wait_sec(address))
        is_spared = not address or self._came_in.left(address) <= 0
        return 0 if is_spared or not self.is_total_spent() else math.ceil(self._of_all.wait_sec(""))

    def is_total_spent(self) -> bool:
        """Whether addresses that are not known from before are refused."""
        return self._of_all.left("") <= 0

    def add(self, address: str) -> None:
        """``address`` failed once more."""
        if address:
            self._of_one.add(address)
            self._of_all.add("")
        else:
            self._of_unknown.add("")

    def spare(self, address: str) -> None:
        """``address`` showed something right."""
        self._came_in.add(address)
