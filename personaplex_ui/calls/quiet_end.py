"""A quiet end: no new calls from now on, and those that go on may end by themselves, for so long at most.

It says what callers are told and when time is up; it neither ends the process nor decides when to begin. On
the event loop.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping

from personaplex_ui.calls.allowance import in_words
from personaplex_ui.calls.call import Call
from personaplex_ui.calls.call_length import Limit
from personaplex_ui.calls.snapshot import End, Phase
from personaplex_ui.calls.watchdog import RENEWED

log = logging.getLogger(__name__)

TAKES_NO_CALLS = "This server is being renewed and takes no new calls. Please call again in a moment."
"""Whoever calls now, and whoever waits for a line, is told so: elsewhere there may be another server."""
TIME_IS_UP = "The server is being renewed, so this call had to end. Please call again in a minute."
SHORTEST_NOTE_SEC = 10.0
"""With less left, the goodbye says it all."""


class QuietEnd:
    """``calls``: those in progress, by their ids. ``clock``: monotonic seconds."""

    def __init__(self, calls: Mapping[str, Call], clock: Callable[[], float] = time.monotonic) -> None:
        self._calls = calls
        self._clock = clock
        self._until: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._note = ""
        self.is_final = False
        """The process ends, so that nothing can be taken back any more."""
        self.on_begin: list[Callable[[], None]] = []
        """Called when a quiet end begins, on the event loop."""

    @property
    def is_on(self) -> bool:
        return self._until is not None

    @property
    def sentence(self) -> str:
        """What new callers are told; empty while calls are taken."""
        return TAKES_NO_CALLS if self.is_on else ""

    @property
    def left_sec(self) -> float | None:
        """How long calls may still go on; None while there is no end."""
        return None if self._until is None else max(0.0, self._until - self._clock())

    def limit(self, elapsed_sec: float) -> Limit | None:
        """Of a call that has lasted for ``elapsed_sec``, on its own clock."""
        left_sec = self.left_sec
        if left_sec is None:
            return None
        # In whole seconds, so that the limit that the page is told keeps still.
        return Limit(float(round(elapsed_sec + left_sec)), TIME_IS_UP, End.SHUTDOWN)

    def begin(self, within_sec: float, final: bool = False) -> None:
        """Take no new calls; those that wait are told so, and the others end after ``within_sec`` at the
        latest. Again: changes the time, which is only shortened where the end is final already. ``final``:
        it cannot be taken back."""
        newly = not self.is_on
        if self.is_final and self.left_sec is not None:
            within_sec = min(within_sec, self.left_sec)
        self._until = self._clock() + within_sec
        self.is_final = self.is_final or final
        self._set_timer(within_sec)
        log.warning(
            "No new calls are taken. %d calls and clips may go on for %s.",
            sum(not call.is_queued for call in self._calls.values()),
            in_words(within_sec),
        )
        if newly:
            for listener in self.on_begin:
                listener()
        for call in list(self._calls.values()):
            if call.phase is Phase.WAITING and not call.is_opening:  # that may find a free line
                call.hang_up(TAKES_NO_CALLS, End.REFUSED)
        self._tell(f"{RENEWED} This call can go on for {in_words(within_sec)}.", within_sec)

    def take_back(self) -> None:
        """Take calls again. Does nothing if there is no end; one that is final stays."""
        if not self.is_on or self.is_final:
            return
        self._until = None
        self._set_timer(None)
        self._tell("", 0.0)
        log.warning("New calls are taken again.")

    def _tell(self, note: str, within_sec: float) -> None:
        """Calls have at most one such note, the latest."""
        for call in self._calls.values():
            if self._note in call.notes:
                call.notes.remove(self._note)
            if within_sec >= SHORTEST_NOTE_SEC and call.phase is not Phase.ENDED:
                call.notes.append(note)
        self._note = note

    def _set_timer(self, within_sec: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if within_sec is not None:
            self._timer = asyncio.get_running_loop().call_later(within_sec, self.end_calls)

    def end_calls(self) -> None:
        """Time is up."""
        for call in list(self._calls.values()):
            call.hang_up(TIME_IS_UP, End.SHUTDOWN)
