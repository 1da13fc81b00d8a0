"""Progress on the terminal: one line that changes, or one line for each tenth where it cannot."""

import sys
import time
from typing import TextIO

EVERY_SEC = 0.2


class Progress:
    """On standard error; what was found is printed there, too, as soon as it is known."""

    def __init__(self, out: TextIO = sys.stderr) -> None:
        self._out = out
        self._changes = out.isatty()
        self._doing = ""
        self._tenth = -1
        self._told_at = float("-inf")

    def begin(self, doing: str) -> None:
        self._doing, self._tenth = doing, -1
        self.tell(0.0)

    def tell(self, part: float, words: str = "") -> None:
        """``part`` of what was begun, in [0, 1]."""
        now = time.monotonic()
        line = f"{self._doing} {part:4.0%}" + (f"  {words}" if words else "")
        if self._changes and now - self._told_at >= EVERY_SEC:
            self._told_at = now
            print(f"\r\x1b[K{line}", end="", file=self._out, flush=True)
        elif not self._changes and int(part * 10) > self._tenth:
            self._tenth = int(part * 10)
            print(line, file=self._out, flush=True)

    def say(self, line: str) -> None:
        """A line that stays."""
        clear = "\r\x1b[K" if self._changes else ""
        print(f"{clear}{line}", file=self._out, flush=True)
