"""How a case was answered, beside its answer: what makes a run go on where it was killed, and notice that it
would answer differently.

Three files belong to an answer. This one is renamed into place first and the sound last, where then no other
sound is, and it holds the hash of that sound: so a case is whole exactly if the two fit, whenever the process
was killed, and a sound that does not fit is somebody else's.
"""

import contextlib
import enum
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from personaplex_ui.audio.files.clip_file import write_wav
from personaplex_ui.audio.files.regular_file import open_regular
from personaplex_ui.audio.frames import Samples
from personaplex_ui.offline.answer_files import CannotWrite, cannot_write
from personaplex_ui.offline.folder.cases import Case

LARGEST_SETTINGS_BYTES = 256_000

Settings = Mapping[str, object]
"""Plain values of JSON by name: all that decides what is answered."""


class State(enum.Enum):
    """``FOREIGN``: somebody else's answer is there, or ours that was changed since. ``CHANGED``: it was
    answered with other settings, or the recording is another one. ``OPEN``: there is no whole answer."""

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
    if not os.path.lexists(case.wav):
        is_foreign = told is None and os.path.lexists(case.words)
        return Found(State.FOREIGN if is_foreign else State.OPEN)
    sound = hash_of(case.wav)
    if told is None or not sound or told.get("output_sha256") != sound:
        return Found(State.FOREIGN)
    if not (os.path.isfile(case.words) or os.path.islink(case.words)):
        return Found(State.OPEN)
    before = told.get("settings")
    before = cast(dict[str, object], before) if isinstance(before, dict) else {}
    differing = {name for name in {*before, *settings} if before.get(name) != settings.get(name)}
    if told.get("input_sha256") != hash_of(case.input):
        differing.add("recording")
    return Found(State.CHANGED, tuple(sorted(differing))) if differing else Found(State.WHOLE)


def write(case: Case, settings: Settings, samples: Samples, words: str, input_sha256: str) -> None:
    """Put the three files in place, replacing what is there. ``input_sha256``: of the recording as it was
    heard. Raises CannotWrite.

    One process at a time writes to a folder, so the temporary names are fixed, and what a killed one left
    behind is overwritten.
    """
    parts = {path: path.with_name(f".{path.name}.part") for path in (case.settings, case.words, case.wav)}
    path = case.wav
    try:
        write_wav(parts[case.wav], samples)
        told = {
            "settings": dict(settings),
            "input_sha256": input_sha256,
            "output_sha256": hash_of(parts[case.wav]),
        }
        path = case.words
        _write_json(parts[path], words)
        path = case.settings
        _write_json(parts[path], json.dumps(told, ensure_ascii=False, indent=2) + "\n")
        # A kill before the last renaming must not leave the new settings beside an old sound.
        case.wav.unlink(missing_ok=True)
        for path, part in parts.items():
            part.replace(path)
    except OSError as error:
        for part in parts.values():
            with contextlib.suppress(OSError):
                part.unlink()
        raise cannot_write(path, error) from error


def _write_json(path: Path, text: str) -> None:
    """Halves of letters, of a path or a language model, become JSON's ``\\udcff``."""
    path.write_text(text, encoding="utf-8", errors="backslashreplace")


def hash_of(path: Path) -> str:
    """SHA-256 of a file; empty if it cannot be read."""
    try:
        with open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _read(path: Path) -> dict[str, Any] | None:
    """None if there is no such file; nothing if it is broken."""
    try:
        with open_regular(path) as file:
            told: object = json.loads(file.read(LARGEST_SETTINGS_BYTES))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {}
    return cast(dict[str, Any], told) if isinstance(told, dict) else {}


def check_writable(case: Case) -> None:
    """Raises CannotWrite: an answer cannot be put beside the recording."""
    for path in (case.wav, case.words, case.settings):
        if os.path.exists(path) and not os.path.isfile(path):
            raise CannotWrite(f"{path.name} cannot be written: it exists and is not a file. Remove it.")
    part = case.wav.with_name(f".{case.wav.name}.part")
    try:
        part.touch()
        part.unlink()
    except OSError as error:
        raise cannot_write(case.wav, error) from error
