"""The recordings in a folder of Full-Duplex-Bench's layout, and where the answer to each belongs.

Version 1 has ``DATASET/ID/input.wav``; version 1.5 also has ``clean_input.wav`` beside it, the same turn
without what disturbs it, whose answer is ``clean_output.wav``. Their scripts look for the answers beside the
recordings: https://github.com/DanielLin94144/Full-Duplex-Bench, ``v1_v1.5/evaluation/README.md``.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from personaplex_ui.errors import InvalidInput

INPUTS = {"input.wav": "", "clean_input.wav": "clean_"}
"""The recordings' names, and what the names of their answers begin with."""

DEEPEST = 6
"""Levels of folders that are searched below the given one."""

MOST_CASES = 100_000

Digits = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True)
class Case:
    """One recording. ``name``: its place in the folder, for people."""

    input: Path
    name: str

    @property
    def folder(self) -> Path:
        return self.input.parent

    @property
    def dataset(self) -> str:
        """The name of the folder that holds the case's own."""
        return self.input.resolve().parent.parent.name

    @property
    def wav(self) -> Path:
        return self._beside("output.wav")

    @property
    def words(self) -> Path:
        return self._beside("output.json")

    @property
    def settings(self) -> Path:
        """How it was answered. Its name does not end in ``output.json``, which their scripts collect."""
        return self._beside("output.settings.json")

    def _beside(self, name: str) -> Path:
        return self.folder / f"{INPUTS[self.input.name]}{name}"


def find_cases(root: Path) -> tuple[Case, ...]:
    """All cases in ``root``, numbered ones in the order of their numbers. Links to folders are followed.

    Raises:
        InvalidInput: there is no such folder, none in it, or too many.
    """
    if not root.is_dir():
        raise InvalidInput("folder", f"There is no folder {root}. Name the one with the recordings.")
    cases: list[Case] = []
    for folder in _folders(root):
        for name in INPUTS:
            path = folder / name
            if os.path.lexists(path):  # a broken link is a case, too, that fails
                cases.append(Case(path, str(path.relative_to(root))))
        if len(cases) > MOST_CASES:
            raise InvalidInput(
                "folder", f"{root} has more than {MOST_CASES:,} recordings. Name a part of it."
            )
    if not cases:
        raise InvalidInput(
            "folder",
            f"There is no input.wav in {root} or in its folders. It should hold a folder for each recording, "
            "such as 1/input.wav, 2/input.wav.",
        )
    return tuple(sorted(cases, key=lambda case: _by_number(case.name)))


def _folders(root: Path) -> Iterator[Path]:
    seen: set[str] = set()
    for path, below, _ in os.walk(root, followlinks=True):
        real = os.path.realpath(path)
        depth = len(Path(path).relative_to(root).parts)
        if real in seen or depth >= DEEPEST:
            below.clear()
        if real in seen:
            continue
        seen.add(real)
        below[:] = [name for name in below if not name.startswith(".")]
        yield Path(path)


def _by_number(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in Digits.split(name)]
