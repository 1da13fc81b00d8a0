"""Restarts the process where no supervisor would: the same program with the same command line.

An environment variable, which survives ``exec``, holds the process id and the times of its restarts. One with
another process id was inherited, for example from a restarted program that started this one.
"""

import contextlib
import logging
import os
import sys
import time
from collections.abc import Callable, MutableMapping

log = logging.getLogger(__name__)

NOTE = "PERSONAPLEX_STARTED_ANEW"
MOST_IN_AN_HOUR = 3
HOUR_SEC = 3600.0


class ProcessRestart:
    """``clock``: seconds that keep counting across a restart, as ``time.monotonic`` does on POSIX."""

    def __init__(
        self,
        environment: MutableMapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
        execute: Callable[[str, list[str]], object] = os.execv,
    ) -> None:
        self._environment = os.environ if environment is None else environment
        self._clock = clock
        self._exec = execute

    @property
    def has_happened(self) -> bool:
        """Within the last hour."""
        return bool(self._times())

    def why_not(self) -> str:
        """Why the process may not be restarted now, in a sentence; empty if it may."""
        if os.name != "posix":
            return "Please restart the server."
        if len(self._times()) >= MOST_IN_AN_HOUR:
            return (
                f"The server has restarted itself {MOST_IN_AN_HOUR} times within an hour and will not try "
                "again. Its log has the details."
            )
        return ""

    def _times(self) -> list[float]:
        """The restarts within the last hour."""
        owner, *noted = self._environment.get(NOTE, "").split()[: 1 + MOST_IN_AN_HOUR] or [""]
        if owner != str(os.getpid()):
            return []
        try:
            times = [float(noted_time) for noted_time in noted]
        except ValueError:
            return []
        return [then for then in times if 0 <= self._clock() - then < HOUR_SEC]

    def execute(self) -> None:
        """Does not return. Call it when nothing is left to be closed."""
        times = " ".join(f"{then:.0f}" for then in (*self._times(), self._clock()))
        self._environment[NOTE] = f"{os.getpid()} {times}"
        log.warning("Restarting the server.")
        close_at_exec()
        program = sys.executable or sys.orig_argv[0]
        self._exec(program, [program, *sys.orig_argv[1:]])


def close_at_exec() -> None:
    """Close every file and socket at ``exec``, whichever library opened it; Python's own are closed
    anyway."""
    folder = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"
    for name in os.listdir(folder):
        if int(name) > 2:
            with contextlib.suppress(OSError):  # closed by now, like the one that listed the folder
                os.set_inheritable(int(name), False)
