"""How long a live call may be, decided anew while it goes on: the longest call, a shorter one while others
wait, and what the visitor has left of the day.

Pure: knows seconds, not calls or slots.
"""

from collections.abc import Callable
from dataclasses import dataclass

from personaplex_ui.calls.allowance import Allowance, Visitor, in_words
from personaplex_ui.calls.snapshot import End

GOODBYE_BEFORE_SEC = 10.0
"""A caller is told this long before the end."""


@dataclass(frozen=True, slots=True)
class Limit:
    """``sec``: of the call's own time. ``reason``: the sentence if the call ends there, of kind ``end``."""

    sec: float
    reason: str
    end: End = End.TIME_LIMIT


def longest(max_sec: float) -> Limit:
    """The limit of every call."""
    return Limit(max_sec, f"Calls end after {in_words(max_sec)}. You are welcome to call again.")


class CallLength:
    """The length of one call. ``busy_sec``: while its line is wanted, 0 for the same as ever.

    ``is_wanted``: whether somebody waits for this call's line. ``visitor``: None if nothing but ``max_sec``
    limits the call. ``of_server``: the limit after so many seconds, if the server is about to end.
    """

    def __init__(
        self,
        max_sec: float,
        busy_sec: float = 0.0,
        is_wanted: Callable[[], bool] = lambda: False,
        allowance: Allowance | None = None,
        visitor: Visitor | None = None,
        of_server: Callable[[float], Limit | None] = lambda _: None,
    ) -> None:
        self._of_server = of_server
        self._longest = longest(max_sec)
        self._busy_sec = busy_sec
        self._is_wanted = is_wanted
        self._allowance = allowance if visitor is not None else None
        self._visitor = visitor
        self._busy_end_sec: float | None = None
        self._spent_sec = 0.0

    def limit(self, elapsed_sec: float) -> Limit:
        """The limit now, after ``elapsed_sec``, which count as used."""
        self.spend(elapsed_sec)
        limits = (
            self._longest,
            self._busy(elapsed_sec),
            self._of_day(elapsed_sec),
            self._of_server(elapsed_sec) or self._longest,
        )
        return min(limits, key=lambda one: one.sec)

    def spend(self, elapsed_sec: float) -> None:
        """The call has lasted for ``elapsed_sec``."""
        if self._allowance is not None:
            self._allowance.spend(self._visitor, elapsed_sec - self._spent_sec)
            self._spent_sec = max(self._spent_sec, elapsed_sec)

    def _busy(self, elapsed_sec: float) -> Limit:
        if not self._busy_sec or self._visitor is None or not self._is_wanted():
            self._busy_end_sec = None
            return self._longest
        if self._busy_end_sec is None:  # who has talked for longer already is told first, too
            self._busy_end_sec = max(self._busy_sec, elapsed_sec + GOODBYE_BEFORE_SEC)
        return Limit(
            self._busy_end_sec,
            f"Others are waiting, and then calls end after {in_words(self._busy_sec)}. "
            "You are welcome to call again.",
        )

    def _of_day(self, elapsed_sec: float) -> Limit:
        if self._allowance is None or not self._allowance.day_sec:
            return self._longest
        # In whole seconds, so that the limit that the page is told keeps still.
        end_sec = round(elapsed_sec + self._allowance.left_sec(self._visitor))
        return Limit(end_sec, self._allowance.used_up)
