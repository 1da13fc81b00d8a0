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
from personaplex_ui.offline.path_words import readable

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
    def dataset_names(self) -> tuple[str, ...]:
        """Names of the folder that holds the case's own: as it was found, and as it is called where links
        lead to. The recording itself may be a link to anywhere, as of a cache or of git-annex."""
        found = os.path.abspath(self.folder)
        real_parent = os.path.realpath(os.path.dirname(found))
        ways = (os.path.dirname(found), real_parent, os.path.dirname(os.path.realpath(found)))
        return tuple(os.path.basename(way) for way in ways)

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


@dataclass(frozen=True, slots=True)
class FoundCases:
    """``unread``: names of what could not be looked at, and sentences. ``too_deep``: names of folders that
    were not searched."""

    cases: tuple[Case, ...]
    unread: tuple[tuple[str, str], ...]
    too_deep: tuple[str, ...]


def find_cases(root: Path) -> FoundCases:
    """All cases in ``root``, numbered ones in the order of their numbers. Links to folders are followed.

    Raises:
        InvalidInput: there is no such folder, it cannot be read, there is no case in it, or too many.
    """
    _check(root)
    search = _Search(root)
    cases: list[Case] = []
    for folder, names in search.folders():
        for name in INPUTS:
            path = folder / name
            # A broken link is a case, too, that fails.
            if name in names or os.path.lexists(path):
                cases.append(Case(path, search.name_of(path)))
            else:
                search.note_other_spellings(name, folder, names)
        if len(cases) > MOST_CASES:
            raise InvalidInput(
                "folder", f"{readable(root)} has more than {MOST_CASES:,} recordings. Name a part of it."
            )
    if not cases:
        raise InvalidInput("folder", _none_in(root, search))
    cases.sort(key=lambda case: _by_number(str(case.input)))
    return FoundCases(tuple(cases), tuple(search.unread), tuple(search.too_deep))


def _check(root: Path) -> None:
    try:
        with os.scandir(root):
            pass
    except FileNotFoundError:
        raise InvalidInput(
            "folder", f"There is no folder {readable(root)}. Name the one with the recordings."
        ) from None
    except NotADirectoryError:
        raise InvalidInput(
            "folder", f"{readable(root)} is not a folder. Name the one with the recordings."
        ) from None
    except OSError as error:
        raise InvalidInput(
            "folder",
            f"{readable(root)} cannot be read ({error.strerror}). Grant access, or name another one.",
        ) from error


def _none_in(root: Path, search: "_Search") -> str:
    lines = [
        f"There is no input.wav in {readable(root)} or in its folders. It should hold a folder for each "
        "recording, such as 1/input.wav, 2/input.wav."
    ]
    lines += [f"{name}: {sentence}" for name, sentence in search.unread[:1]]
    lines += [f"{name} lies too deep, and was not searched." for name in search.too_deep[:1]]
    return " ".join(lines)


class _Search:
    """What is found below ``root``, and what cannot be."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.unread: list[tuple[str, str]] = []
        self.too_deep: list[str] = []

    def name_of(self, path: str | Path) -> str:
        return readable(os.path.relpath(path, self._root))

    def folders(self) -> Iterator[tuple[Path, list[str]]]:
        """Each folder once, and the names in it."""
        seen: set[str] = set()
        for path, below, files in os.walk(self._root, followlinks=True, onerror=self._failed):
            names = [*below, *files]
            below[:] = [name for name in below if not name.startswith(".")]
            real = os.path.realpath(path)
            if real in seen:
                below.clear()
                continue
            seen.add(real)
            if len(Path(path).relative_to(self._root).parts) >= DEEPEST:
                self.too_deep += [self.name_of(os.path.join(path, name)) for name in sorted(below)]
                below.clear()
            yield Path(path), names

    def note_other_spellings(self, name: str, folder: Path, names: list[str]) -> None:
        """``input.WAV`` is nothing that the benchmark's scripts find."""
        for other in sorted(names):
            if other.lower() == name:
                self.unread.append((self.name_of(folder / other), f"Rename it to {name}, in small letters."))

    def _failed(self, error: OSError) -> None:
        sentence = f"This folder cannot be read ({error.strerror}). Grant access, or remove it."
        self.unread.append((self.name_of(error.filename), sentence))


def _by_number(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in Digits.split(name)]
