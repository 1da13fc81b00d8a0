"""How ``personaplex-ui offline`` ends by Ctrl-C: one sentence, which no thread of a library can spoil.

Threads of native libraries that come back to an interpreter which is ending abort the process. So after a
failure or Ctrl-C the process leaves as soon as Python's own exit functions have run. What was written by then
is whole: answers are put in place at once, and survive a kill. Imports nothing but the standard library.
"""

import atexit
import contextlib
import os
import signal
import sys
from dataclasses import dataclass
from types import FrameType

INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it."""

STOPPED = {
    "folder": "Stopped; run the same command again to go on.",
    "report": "Stopped.",
}
STOPPED_FILES = "Stopped; answers that were complete are written. Run the command again for the others."


@dataclass(slots=True)
class Ending:
    """The end of the command whose name ``command`` is, or which has none. Made before anything else, so that
    its exit function is the last to run. ``code``: other than 0 once the process is to leave with it."""

    command: str = ""
    code: int = 0
    _hurried: bool = False
    _told: bool = False

    def watch(self) -> None:
        """The first Ctrl-C raises KeyboardInterrupt, and a further one ends the process. Ctrl-C stays ignored
        where it was, as under nohup."""
        atexit.register(self._leave)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._interrupted)

    def over(self, code: int) -> int:
        """The command has ended with ``code``, which is returned: from now on Ctrl-C ends the process."""
        self._hurried = True
        self.code = code
        if code == INTERRUPTED:
            self._tell()
        return code

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        if self._hurried:
            self.code = INTERRUPTED
            self._tell()
            self._leave()
        self._hurried = True
        raise KeyboardInterrupt

    def _tell(self) -> None:
        if not self._told:
            self._told = True
            with contextlib.suppress(OSError):  # not by print: a handler may run in the middle of one
                os.write(2, f"{STOPPED.get(self.command, STOPPED_FILES)}\n".encode())

    def _leave(self) -> None:
        if self.code:
            for stream in (sys.stdout, sys.stderr):
                # A handler may run in the middle of a write; a reader may have gone.
                with contextlib.suppress(OSError, ValueError, RuntimeError, AttributeError):
                    stream.flush()
            os._exit(self.code)
