"""Limits wrong passwords per network address, and in total.

Depends on addresses and times, not on secrets. An address that sent too many is refused for a while, even
with the right password, so that further guessing reveals nothing. The total limit also works against clients
with many addresses, or behind a proxy that passes on any address a client claims. It exempts addresses that
logged in before, so that guessing cannot lock out those who know the password.
"""

import math
from collections.abc import Callable

from personaplex_ui.sliding_window import SlidingWindow

WITHIN_SEC = 300.0
MOST = 10
MOST_OF_UNKNOWN = 100
"""Limit for the empty address, which all clients with an unknown address share."""
MOST_IN_ALL = 50
"""Limit for all known addresses; once it is reached, one more attempt is checked every 6 s."""
SPARED_SEC = 30 * 86_400.0
"""How long the total limit exempts an address after a correct login."""


class LoginThrottle:
    """At most ``MOST`` failures within ``WITHIN_SEC`` per address, and ``MOST_IN_ALL`` in total."""

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
        """Whether addresses that have not logged in before are refused."""
        return self._of_all.left("") <= 0

    def add(self, address: str) -> None:
        """``address`` failed once more."""
        if address:
            self._of_one.add(address)
            self._of_all.add("")
        else:
            self._of_unknown.add("")

    def spare(self, address: str) -> None:
        """``address`` showed correct credentials."""
        self._came_in.add(address)
