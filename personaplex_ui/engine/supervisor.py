"""Detects that the model's thread hangs, has ended, or fails repeatedly, and says what to do about it.

Pure: the thread's pulse and the time go in, a verdict comes out. An engine in trouble is restarted once; if
that does not help, it is given up, and the process decides what follows.
"""

import enum
from dataclasses import dataclass

FAILURES_IN_A_ROW = 3

LONGEST_LOOK_SEC = 1.0
"""The most that counts between two checks: a laptop that slept, or a stopped process, did not hang."""

HELD_SEC = 600.0
"""A restart has helped if there was no trouble for this long."""


class Work(enum.Enum):
    """What the thread is doing, for how many seconds at most, and the sentence when it takes longer.

    ``LOAD``: without any report of progress; a download of 17 GB reports constantly. ``RELOAD``: the files
    are on disk. ``PREPARE``: one chunk, or a voice read from a file; on a CPU it takes seconds. ``COMMAND``:
    begin, leave or speak.
    """

    LOAD = 600.0, "The loading of the speech model has made no progress"
    RELOAD = 120.0, "The loading of the speech model has made no progress"
    STEP = 5.0, "The speech model has been in one step"
    PREPARE = 15.0, "The speech model has been preparing a voice and role"
    COMMAND = 5.0, "The speech model has not let go"

    def __init__(self, limit_sec: float, hangs: str) -> None:
        self.limit_sec = limit_sec
        self.hangs = hangs


@dataclass(slots=True)
class Pulse:
    """Written by the thread, read by the supervisor. ``beats`` counts the starts and ends of all pieces of
    work; ``failures`` counts failures in a row, ``of_steps`` tells whether a step was among them."""

    work: Work | None = None
    beats: int = 0
    failures: int = 0
    of_steps: bool = False

    def begin(self, work: Work) -> None:
        self.work = work
        self.beats += 1

    def end(self) -> None:
        self.work = None
        self.beats += 1

    def failed(self, step: bool) -> None:
        self.failures += 1
        self.of_steps = self.of_steps or step

    def succeeded(self) -> None:
        self.failures, self.of_steps = 0, False


class Remedy(enum.Enum):
    """``KEEP_MODEL``: a new thread for the same model. ``LOAD_AGAIN``: a new thread that loads the model
    again. ``WAIT``: the loading may still succeed. ``GIVE_UP``: nothing in this process helps."""

    KEEP_MODEL = enum.auto()
    LOAD_AGAIN = enum.auto()
    WAIT = enum.auto()
    GIVE_UP = enum.auto()


@dataclass(frozen=True, slots=True)
class Verdict:
    """``trouble``: a sentence that says what is wrong."""

    remedy: Remedy
    trouble: str


class Supervisor:
    """Watches one thread at a time; ``watch_next`` switches to another."""

    def __init__(self) -> None:
        self._restarted_at: float | None = None
        self.watch_next()

    def watch_next(self) -> None:
        """Watch another thread from now on."""
        self._looked_at: float | None = None
        self._beats = -1
        self._still_sec = 0.0
        self._in_trouble = False

    def forget(self) -> None:
        """Another model is being loaded: earlier trouble says nothing about it."""
        self._restarted_at = None

    def look(
        self, now: float, pulse: Pulse, alive: bool, commands: int, has_model: bool = True
    ) -> Verdict | None:
        """Call it several times a second. ``commands``: how many wait for the thread. Returns one verdict for
        as long as the trouble lasts."""
        passed = 0.0 if self._looked_at is None else max(0.0, now - self._looked_at)
        self._looked_at = now
        work = pulse.work or (Work.COMMAND if commands else None)
        if pulse.beats != self._beats or work is None:
            self._beats, self._still_sec = pulse.beats, 0.0
        else:
            self._still_sec += min(passed, LONGEST_LOOK_SEC)
        hung_in = work if alive and work is not None and self._still_sec > work.limit_sec else None
        trouble = self._trouble(pulse, alive, hung_in)
        known, self._in_trouble = self._in_trouble, bool(trouble)
        if known or not trouble:
            return None
        of_steps = pulse.of_steps or not alive or hung_in is not None
        return Verdict(self._remedy(now, hung_in, of_steps, has_model), trouble)

    @staticmethod
    def _trouble(pulse: Pulse, alive: bool, hung_in: Work | None) -> str:
        if not alive:
            return "The thread of the speech model has ended."
        if hung_in is not None:
            return f"{hung_in.hangs} for {hung_in.limit_sec:.0f} seconds."
        if pulse.failures >= FAILURES_IN_A_ROW:
            return f"The speech model failed {pulse.failures} times in a row."
        return ""

    def _remedy(self, now: float, hung_in: Work | None, of_steps: bool, has_model: bool) -> Remedy:
        if hung_in is Work.LOAD:
            return Remedy.WAIT
        recently = self._restarted_at is not None and now - self._restarted_at < HELD_SEC
        # A restarted model is tried before callers may use it. If only preparations failed, their voices and
        # roles were at fault, not the engine, so it may be restarted each time.
        if hung_in is Work.RELOAD or (recently and of_steps):
            return Remedy.GIVE_UP
        if of_steps:
            self._restarted_at = now
        return Remedy.KEEP_MODEL if has_model and hung_in is None else Remedy.LOAD_AGAIN
