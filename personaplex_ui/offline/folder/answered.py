"""How a case was answered, beside its answer: what makes a run go on where it was killed, and notice that it
would answer differently.

Three files belong to an answer. This one is renamed into place first and the sound last, and it holds the
hash of that sound: so a case is whole exactly if the two fit, whenever the process was killed.
"""

import enum
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from personaplex_ui.audio.files.clip_file import write_wav
from personaplex_ui.audio.frames import Samples
from personaplex_ui.offline.answer_files import CannotWrite, cannot_write
from personaplex_ui.offline.folder.cases import Case

LARGEST_SETTINGS_BYTES = 256_000

Settings = Mapping[str, object]
"""Plain values of JSON by name: all that decides what is answered."""


class State(enum.Enum):
    """``FOREIGN``: somebody else's answer is there. ``CHANGED``: it was answered with other settings, or the
    recording is another one. ``OPEN``: there is no whole answer."""

    OPEN = "open"
    WHOLE = "whole"
    CHANGED = "changed"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Found:
    """``differing``: the names of the settings that are not what they were, sorted; of ``CHANGED``."""

    state: State
    differing: tuple[str, ...] = ()


def look(case: Case, settings: Settings) -> Found:
    """What there is of the answer to ``case``, which is now to be answered with ``settings``."""
    told = _read(case.settings)
    if told is None:
        is_there = case.wav.exists() or case.words.exists()
        return Found(State.FOREIGN if is_there else State.OPEN)
    if not case.words.is_file() or told.get("output_sha256") != hash_of(case.wav):
        return Found(State.OPEN)
    before = told.get("settings")
    before = cast(dict[str, object], before) if isinstance(before, dict) else {}
    differing = {name for name in {*before, *settings} if before.get(name) != settings.get(name)}
    if told.get("input_sha256") != hash_of(case.input):
        differing.add("recording")
    return Found(State.CHANGED, tuple(sorted(differing))) if differing else Found(State.WHOLE)


def write(case: Case, settings: Settings, samples: Samples, words: str) -> None:
    """Put the three files in place, replacing what is there. Raises CannotWrite.

    One process at a time writes to a folder, so the temporary names are fixed, and what a killed one left
    behind is overwritten.
    """
    parts = {path: path.with_name(f".{path.name}.part") for path in (case.settings, case.words, case.wav)}
    path = case.wav
    try:
        write_wav(parts[case.wav], samples)
        told = {
            "settings": dict(settings),
            "input_sha256": hash_of(case.input),
            "output_sha256": hash_of(parts[case.wav]),
        }
        path = case.words
        parts[path].write_text(words, encoding="utf-8")
        path = case.settings
        parts[path].write_text(json.dumps(told, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        for path, part in parts.items():
            part.replace(path)
    except OSError as error:
        for part in parts.values():
            part.unlink(missing_ok=True)
        raise cannot_write(path, error) from error


def hash_of(path: Path) -> str:
    """SHA-256 of a file; empty if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _read(path: Path) -> dict[str, Any] | None:
    """None if there is no such file. A broken one is empty: whoever wrote it, the case is to be answered."""
    try:
        with path.open("rb") as file:
            told: object = json.loads(file.read(LARGEST_SETTINGS_BYTES))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {}
    return cast(dict[str, Any], told) if isinstance(told, dict) else {}


def check_writable(case: Case) -> None:
    """Raises CannotWrite: an answer cannot be put beside the recording."""
    for path in (case.wav, case.words, case.settings):
        if path.exists() and not path.is_file():
            raise CannotWrite(f"{path.name} cannot be written: it exists and is not a file. Remove it.")
    part = case.wav.with_name(f".{case.wav.name}.part")
    try:
        part.touch()
        part.unlink()
    except OSError as error:
        raise cannot_write(case.wav, error) from error
