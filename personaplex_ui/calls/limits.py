"""Limits how many calls one network address may have at once, and how many it may begin in a minute.

Pure; the clock is passed in. An empty address is not limited.
"""

import math
from collections import Counter
from collections.abc import Callable

from personaplex_ui.errors import TooManyCalls
from personaplex_ui.sliding_window import SlidingWindow

MINUTE_SEC = 60.0


class AddressLimits:
    """``at_once`` and ``per_minute``: 0 means no limit."""

    def __init__(self, at_once: int, per_minute: int, clock: Callable[[], float]) -> None:
        self._at_once = at_once
        self._begun = SlidingWindow(per_minute, MINUTE_SEC, clock) if per_minute else None
        self._live: Counter[str] = Counter()

    def admit(self, address: str) -> None:
        """Count a new call from ``address``; call ``release`` when it ends.

        Raises:
            TooManyCalls: the address has as many calls as it may have, or has just begun too many.
        """
        if not address:
            return
        self.check(address)
        if self._begun is not None:
            if self._begun.left(address) <= 0:
                raise TooManyCalls(
                    f"Your network has begun {self._begun.most} calls within a minute, as many as are "
                    f"allowed. Please try again in {math.ceil(self._begun.wait_sec(address))} seconds."
                )
            self._begun.add(address)
        self._live[address] += 1

    def hold(self, address: str) -> None:
        """Keep a place for a call that is soon to begin, which is no begin yet; ``release`` it before
        ``admit``, or when there will be none.

        Raises:
            TooManyCalls: the address has as many calls as it may have.
        """
        if address:
            self.check(address)
            self._live[address] += 1

    def check(self, address: str) -> None:
        """Like ``admit``, but counts nothing: for work that is done before a call begins."""
        if address and self._at_once and self._live[address] >= self._at_once:
            raise TooManyCalls(
                f"Your network already has as many calls as it may have at once ({self._at_once}). "
                "Please end one of them first."
            )

    def release(self, address: str) -> None:
        """A call from ``address`` has ended."""
        if not address:
            return
        self._live[address] -= 1
        if self._live[address] <= 0:
            del self._live[address]
