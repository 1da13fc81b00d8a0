"""The lines of a conversation: as a reader gets them, and as they grow and change during a call.

Knows that lines change, not why. A reader asks what changed since a version that it has seen.
"""

import enum
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pydantic import ConfigDict

from personaplex_ui.calls.caller_words import CallerWords
from personaplex_ui.calls.level_track import LevelTrack, wave_of

MOST_LINES = 2_000
"""In one call; then the oldest lines are forgotten."""


class Who(enum.StrEnum):
    """``TYPED``: the caller typed what the assistant is to say."""

    ASSISTANT = "assistant"
    CALLER = "caller"
    TYPED = "typed"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a conversation. ``n`` counts the lines of a call from 0, in the order they appeared.

    ``start_sec`` and ``end_sec`` count from the start of the live call. ``text`` is empty for a caller whose
    words nobody recognised; they may come after the line's end, and the call's. ``cut``: the assistant was
    interrupted in it; ``interrupts``: the caller did so. ``levels``: a small picture of the caller's
    loudness, at most 40 values from 0 to 9. ``open``: it may still grow.
    """

    __pydantic_config__: ClassVar = ConfigDict(strict=True, allow_inf_nan=False)

    n: int
    who: Who
    start_sec: float
    end_sec: float
    text: str = ""
    cut: bool = False
    interrupts: bool = False
    levels: tuple[int, ...] = ()
    open: bool = False

    def record(self) -> dict[str, Any]:
        """Plain values for JSON; times rounded to 0.01 s."""
        return {
            "n": self.n,
            "who": self.who.value,
            "start_sec": round(self.start_sec, 2),
            "end_sec": round(self.end_sec, 2),
            "text": self.text,
            "cut": self.cut,
            "interrupts": self.interrupts,
            "levels": list(self.levels),
            "open": self.open,
        }


@dataclass(slots=True)
class GrowingLine:
    """A line that may change. ``version``: of its last change."""

    n: int
    who: Who
    start_sec: float
    end_sec: float
    text: str = ""
    cut: bool = False
    interrupts: bool = False
    open: bool = True
    version: int = 0
    words: CallerWords = field(default_factory=CallerWords)
    of_words: bool = False
    """It was made by words without a sound that is loud enough for speech."""


class GrowingLines:
    """The lines of one call. Whoever changes one says so with ``note``, in constant time."""

    def __init__(self, caller_levels: LevelTrack) -> None:
        self.version = 0
        """Grows with every change of a line."""
        self._caller_levels = caller_levels
        self._lines: dict[int, GrowingLine] = {}
        self._by_change: OrderedDict[int, GrowingLine] = OrderedDict()
        """The same lines, the latest changed one last."""
        self._next_n = 0

    def add(self, who: Who, start_sec: float, end_sec: float) -> GrowingLine:
        line = GrowingLine(self._next_n, who, start_sec, end_sec)
        self._next_n += 1
        self._lines[line.n] = line
        if len(self._lines) > MOST_LINES:
            oldest = next(iter(self._lines))
            del self._lines[oldest], self._by_change[oldest]
        self.note(line)
        return line

    def close(self, line: GrowingLine | None) -> None:
        if line is not None and line.open:
            line.open = False
            self.note(line)

    def note(self, line: GrowingLine) -> None:
        """``line`` changed."""
        self.version += 1
        line.version = self.version
        if line.n in self._lines:  # else forgotten
            self._by_change[line.n] = line
            self._by_change.move_to_end(line.n)

    def all(self) -> tuple[Line, ...]:
        """In the order they appeared."""
        return self._as_lines(self._lines.values())

    def changed_since(self, version: int) -> tuple[Line, ...]:
        """The lines that are new or changed since ``version``, in the order they appeared. Its cost depends
        on their number only."""
        changed: list[GrowingLine] = []
        for line in reversed(self._by_change.values()):
            if line.version <= version:
                break
            changed.append(line)
        return self._as_lines(sorted(changed, key=lambda line: line.n))

    def _as_lines(self, lines: Iterable[GrowingLine]) -> tuple[Line, ...]:
        return tuple(
            Line(
                line.n,
                line.who,
                line.start_sec,
                line.end_sec,
                line.text,
                line.cut,
                line.interrupts,
                wave_of(self._caller_levels.between(line.start_sec, line.end_sec))
                if line.who is Who.CALLER
                else (),
                line.open,
            )
            for line in lines
        )
