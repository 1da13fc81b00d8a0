"""When the process ends that was asked to end quietly: as soon as nobody is served any more, or time is up.

Signal handlers only leave a note here, which the server's loop reads ten times a second.
"""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Generator

from personaplex_ui.calls.manager import CallManager

SIGNAL = getattr(signal, "SIGUSR1", None)
"""Asks for a quiet end after which the process stays; None on Windows."""

LINGERS_SEC = 2.0
"""What belongs to a call that has just ended is still asked for: a page's record, a clip's file, Twilio's
last question."""


class QuietShutdown:
    """``drain_sec``: how long calls may go on once the process is to end, 0 for no quiet end. ``stays_sec``:
    the same where it is to stay. ``clock``: monotonic seconds."""

    def __init__(
        self,
        manager: CallManager,
        drain_sec: float,
        stays_sec: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._manager = manager
        self._drain_sec = drain_sec
        self._stays_sec = stays_sec
        self._clock = clock
        self._is_asked = False
        self._asked_to_stay = False
        self._served_at = float("-inf")
        """When somebody was last seen being served."""

    @property
    def is_asked(self) -> bool:
        """Whether the process is ending quietly."""
        return self._is_asked

    def ask(self) -> bool:
        """The process is to end. Returns whether it does so quietly, which it does when it is asked once."""
        if self._is_asked or not self._drain_sec:
            return False
        self._is_asked = True
        return True

    @contextlib.contextmanager
    def asked_by_signal(self) -> Generator[None]:
        """Within this context, ``SIGNAL`` asks for a quiet end after which the process stays."""
        if SIGNAL is None or threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(SIGNAL, self._note_signal)
        try:
            yield
        finally:
            signal.signal(SIGNAL, before)

    def _note_signal(self, number: int, frame: object) -> None:
        self._asked_to_stay = True

    def is_over(self) -> bool:
        """Call it several times a second: does what was asked for, and says once when the process may end."""
        manager, end = self._manager, self._manager.quiet_end
        if not manager.is_idle:
            self._served_at = self._clock()
        if self._asked_to_stay:
            self._asked_to_stay = False
            if not end.is_on:
                end.begin(self._stays_sec)
        if not self._is_asked or manager.is_closed:
            return False
        if not end.is_final:
            left_sec = self._drain_sec if end.left_sec is None else min(end.left_sec, self._drain_sec)
            end.begin(left_sec, final=True)
        if not end.left_sec:
            end.end_calls()  # the timer that does so may come a moment later
            return True
        return self._clock() - self._served_at >= LINGERS_SEC
