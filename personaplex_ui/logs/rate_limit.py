"""Rate-limits records that strangers can cause at will: a few per minute are written, the others counted."""

import logging
import time
from collections import Counter
from collections.abc import Callable

from personaplex_ui.sliding_window import SlidingWindow

PERIOD_SEC = 60.0
NO_FILE_LEFT = "socket.accept() out of system resource"
"""Asyncio's message, repeated for each connection in the backlog (CPython issue 151615)."""

ADVICE = "No more connections can be accepted: too many files are open. Allow more of them (ulimit -n)."

NO_UTF8 = "Invalid UTF-8 sequence received from client."
"""Uvicorn's message, with a traceback, about a websocket's text."""

AT_MOST = {
    NO_FILE_LEFT: 1,
    NO_UTF8: 5,
    "Invalid HTTP request received.": 5,
    "Unsupported upgrade request.": 5,
    "No supported WebSocket library detected": 5,
    '%s - "WebSocket %s" 403': 20,
}
"""Records per minute, by the start of their message."""


class RepeatedRecords(logging.Filter):
    """``clock``: seconds. Add it to the loggers that write such records."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._written = {kind: SlidingWindow(most, PERIOD_SEC, clock) for kind, most in AT_MOST.items()}
        self._left_out = Counter[str]()

    def filter(self, record: logging.LogRecord) -> bool:
        message = str(record.msg)
        kind = next((kind for kind in AT_MOST if message.startswith(kind)), None)
        if kind is None:
            return True
        if self._written[kind].left("") <= 0:
            self._left_out[kind] += 1
            return False
        self._written[kind].add("")
        if kind in (NO_FILE_LEFT, NO_UTF8):
            record.exc_info = None
        if kind == NO_FILE_LEFT:
            record.msg, record.args = ADVICE, ()
        if left_out := self._left_out.pop(kind, 0):
            record.msg = f"{record.msg} ({left_out:,} more of these were left out.)"
        return True


def limit_repeated_records() -> None:
    """For asyncio's and uvicorn's loggers, once for the whole process."""
    for name in ("asyncio", "uvicorn.error"):
        logger = logging.getLogger(name)
        if not any(isinstance(present, RepeatedRecords) for present in logger.filters):
            logger.addFilter(RepeatedRecords())
