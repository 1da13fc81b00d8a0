"""Finds out that the engine's thread hangs, has ended, or fails again and again.

Pure: what the thread tells and the time come in, a verdict goes out.
"""

import enum
from dataclasses import dataclass

FAILURES_IN_A_ROW = 3

LONGEST_LOOK_SEC = 1.0
"""No more counts between two looks: a laptop that slept, or a process that was stopped, did not hang."""


class Work(enum.Enum):
    """What the thread is at. ``COMMAND``: to begin, to leave, to speak. ``RELOAD``: the files are there."""

    LOAD = enum.auto()
    RELOAD = enum.auto()
    STEP = enum.auto()
    PREPARE = enum.auto()
    COMMAND = enum.auto()


LIMIT_SEC = {
    Work.LOAD: 600.0,  # without a word of progress, which a download of 17 GB tells all the time
    Work.RELOAD: 120.0,
    Work.STEP: 5.0,
    Work.PREPARE: 15.0,  # a chunk, or a voice that is read from a file; on a CPU it takes seconds
    Work.COMMAND: 5.0,
}


@dataclass(slots=True)
class Pulse:
    """Written by the thread, read by who watches it. ``beats`` counts the beginnings and ends of all pieces
    of work; ``failures`` those in a row, ``of_steps`` whether a step was among them."""

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


@dataclass(frozen=True, slots=True)
class Trouble:
    """``hung_in``: the thread is not to be had any more, nor the model it may touch when it wakes.
    ``of_steps``: it is about more than the voices and roles that somebody chose."""

    what: str
    hung_in: Work | None = None
    of_steps: bool = True


class Watch:
    """Of one thread. ``look`` at it several times a second."""

    def __init__(self) -> None:
        self._looked_at: float | None = None
        self._beats = -1
        self._still_sec = 0.0
        self._told = False

    def look(self, now: float, pulse: Pulse, alive: bool, commands: int) -> Trouble | None:
        """``commands`` wait for the thread. A trouble is told once, as long as it lasts."""
        passed = 0.0 if self._looked_at is None else max(0.0, now - self._looked_at)
        self._looked_at = now
        owes = pulse.work or (Work.COMMAND if commands else None)
        if pulse.beats != self._beats or owes is None:
            self._beats, self._still_sec = pulse.beats, 0.0
        else:
            self._still_sec += min(passed, LONGEST_LOOK_SEC)
        trouble = self._trouble(pulse, alive, owes)
        told, self._told = self._told, trouble is not None
        return None if told else trouble

    def _trouble(self, pulse: Pulse, alive: bool, owes: Work | None) -> Trouble | None:
        if not alive:
            return Trouble("The thread of the speech model has ended.")
        if owes is not None and self._still_sec > LIMIT_SEC[owes]:
            return Trouble(f"{_HANGS[owes]} for {LIMIT_SEC[owes]:.0f} seconds.", hung_in=owes)
        if pulse.failures >= FAILURES_IN_A_ROW:
            what = f"The speech model failed {pulse.failures} times in a row."
            return Trouble(what, of_steps=pulse.of_steps)
        return None


_HANGS = {
    Work.LOAD: "The loading of the speech model has made no progress",
    Work.RELOAD: "The loading of the speech model has made no progress",
    Work.STEP: "The speech model has been in one step",
    Work.PREPARE: "The speech model has been preparing a voice and role",
    Work.COMMAND: "The speech model has not let go",
}
