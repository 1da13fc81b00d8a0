"""Records that strangers can cause as often as they like: some a minute are written, the others counted."""

import logging
import time
from collections.abc import Callable

PERIOD_SEC = 60.0
NO_FILE_LEFT = "socket.accept() out of system resource"
"""Asyncio's words. It says so for each of the backlog, again and again (CPython issue 151615)."""

ADVICE = "No more connections can be accepted: too many files are open. Allow more of them (ulimit -n)."

NO_UTF8 = "Invalid UTF-8 sequence received from client."
"""Uvicorn's words, with a traceback, about a websocket's text."""

AT_MOST = {
    NO_FILE_LEFT: 1,
    NO_UTF8: 5,
    "Invalid HTTP request received.": 5,
    "Unsupported upgrade request.": 5,
    "No supported WebSocket library detected": 5,
    '%s - "WebSocket %s" 403': 20,
}
"""Records a minute, by how their message begins."""


class RepeatedRecords(logging.Filter):
    """``clock``: seconds. Add it to the loggers that write them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._written: dict[str, tuple[float, int]] = {}
        self._left_out: dict[str, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        message = str(record.msg)
        kind = next((kind for kind in AT_MOST if message.startswith(kind)), None)
        if kind is None:
            return True
        since, written = self._written.get(kind, (-PERIOD_SEC, 0))
        now = self._clock()
        if now - since >= PERIOD_SEC:
            since, written = now, 0
        if written >= AT_MOST[kind]:
            self._left_out[kind] = self._left_out.get(kind, 0) + 1
            return False
        self._written[kind] = since, written + 1
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
