"""The end of the process once everything of ours is closed.

The interpreter's own end takes apart every object of every library, and waits for their threads: a second
with torch, and several on a busy machine, in which whoever renews the server waits for nothing.
"""

import atexit
import contextlib
import os
import sys
from typing import NoReturn


def run_exit_handlers() -> None:
    """What ``atexit`` has, ours and the libraries': folders are removed, child processes ended, logs written.
    Each runs once, even if the interpreter ends later."""
    atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage]  multiprocessing ends its children so, too


def end_process(status: int) -> NoReturn:
    """Ends the process with ``status`` as soon as the exit handlers have run and all output is written."""
    try:
        run_exit_handlers()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):  # nobody reads it any more, or it is closed
                stream.flush()
    finally:
        os._exit(status)
