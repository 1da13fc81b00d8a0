"""What a path stands for in ``personaplex-ui offline report``: a stereo file, or a folder of
Full-Duplex-Bench's layout, which is searched as ``offline folder`` does."""

import os
from dataclasses import dataclass
from pathlib import Path

from personaplex_ui.errors import InvalidInput
from personaplex_ui.offline.folder.cases import DEEPEST, Case, find_cases
from personaplex_ui.offline.path_words import readable

NOT_ANSWERED = (
    "There is no {answer} beside it. Answer it with personaplex-ui offline folder, or copy one there."
)


@dataclass(frozen=True, slots=True)
class Recording:
    """``sound``: of both sides, or the caller's where ``assistant`` has the other side. ``words``: the
    transcript, if there is one. ``name``: as people are shown it."""

    name: str
    sound: Path
    assistant: Path | None = None
    words: Path | None = None


@dataclass(frozen=True, slots=True)
class FoundRecordings:
    """``unread``: names of what cannot be measured, and why."""

    recordings: tuple[Recording, ...]
    unread: tuple[tuple[str, str], ...] = ()


def recordings_at(path: Path, transcript: Path | None) -> FoundRecordings:
    """Raises InvalidInput: there is nothing, or too much for one transcript."""
    if not path.is_dir():
        if not path.exists():
            raise InvalidInput("audio", "There is no such file. Correct its name.")
        return FoundRecordings((Recording(readable(path), path, words=transcript),))
    found = find_cases(path)
    if transcript is not None and len(found.cases) > 1:
        raise InvalidInput(
            "transcript",
            f"A transcript is for one recording, and this folder has {len(found.cases)}. Name one of its "
            "folders, or leave --transcript out: output.json is read where there is one.",
        )
    unread = [(readable(path / name), sentence) for name, sentence in found.unread]
    unread += [
        (readable(path / name), f"It lies more than {DEEPEST} levels deep, and was not searched. Name it.")
        for name in found.too_deep
    ]
    recordings: list[Recording] = []
    for case in found.cases:
        if case.wav.is_file():
            words = transcript or (case.words if os.path.lexists(case.words) else None)
            recordings.append(Recording(_name_of(case), case.input, case.wav, words))
        else:
            unread.append((readable(case.input), NOT_ANSWERED.format(answer=case.wav.name)))
    return FoundRecordings(tuple(recordings), tuple(unread))


def _name_of(case: Case) -> str:
    """The folder's name is enough, but for a second recording in it."""
    return readable(case.folder if case.input.name == "input.wav" else case.input)
