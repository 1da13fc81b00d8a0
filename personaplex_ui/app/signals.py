"""The signals that end the process: the first requests an orderly shutdown, the last ends it at once.

Depends on signals and times; the owner decides what an orderly shutdown is.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Generator

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGBREAK") if hasattr(signal, name)
)
"""SIGHUP: the terminal was closed. SIGBREAK: Ctrl+Break on Windows."""

SENT_TWICE_WITHIN_SEC = 0.2
"""Closing terminals, and programs that forward signals, send the same request twice."""


class ShutdownSignals:
    """``ask``: called in the main thread for the first signal; it returns whether another signal shall ask
    again, to hurry. ``end``: ends the process with a status.

    Nothing is logged here: a handler may run while the main thread writes to the log.
    """

    def __init__(
        self,
        ask: Callable[[], bool],
        end: Callable[[int], None] = os._exit,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._end = end
        self._clock = clock
        self._asked_at: float | None = None
        self._may_ask = True

    def handle(self, number: int, frame: object) -> None:
        now = self._clock()
        if self._asked_at is not None and now - self._asked_at < SENT_TWICE_WITHIN_SEC:
            return
        self._asked_at = now
        if self._may_ask:
            self._may_ask = self._ask()
        else:
            self._end(128 + number)

    @contextlib.contextmanager
    def caught(self) -> Generator[None]:
        """Handle the signals within this context. A SIGHUP that is ignored, as under ``nohup``, stays
        ignored."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        ignored = signal.SIG_IGN
        before = {
            number: signal.signal(number, self.handle)
            for number in SIGNALS
            if number == signal.SIGINT or signal.getsignal(number) is not ignored
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
