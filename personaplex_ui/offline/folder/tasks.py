"""What is to be answered in a folder, and what is not, in groups.

The groups depend on the folder and ``--batch`` alone. In a batch of another size or composition the same
tokens come out, but sums are rounded differently, which may change a sample by its last bit. So a group that
was stopped is computed again in whole, and only what is missing of it is written: a run that was killed and
went on leaves the same bytes as one that was not.
"""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from personaplex_ui.calls.settings import check_prompt
from personaplex_ui.errors import InvalidInput
from personaplex_ui.offline.engines import Voice
from personaplex_ui.offline.folder import answered
from personaplex_ui.offline.folder.answered import Found, Settings, State
from personaplex_ui.offline.folder.arguments import FolderRequest
from personaplex_ui.offline.folder.cases import Case
from personaplex_ui.offline.folder.engine_settings import settings_of
from personaplex_ui.offline.folder.lock import Locks
from personaplex_ui.offline.folder.roles import role_of
from personaplex_ui.offline.folder.sound_length import sound_sec_of
from personaplex_ui.offline.path_words import readable


@dataclass(frozen=True, slots=True)
class Task:
    """A case, and how to answer it. ``sound_sec``: as far as its file tells it. ``whole``: its answer is
    there and stays."""

    case: Case
    settings: Settings
    sound_sec: float
    whole: bool

    @property
    def role(self) -> str:
        return str(self.settings["role"])


@dataclass(slots=True)
class Outcome:
    """``failed``: names of cases, or of folders that could not be searched, and sentences."""

    whole: int = 0
    answered: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])


def tasks_of(
    request: FolderRequest, voice: Voice, cases: Sequence[Case], outcome: Outcome, locks: Locks
) -> list[Task]:
    """Of all ``cases`` whose roles can be used; the others fail.

    Raises:
        InvalidInput: there are answers that are not to be replaced unasked.
    """
    tasks: list[Task] = []
    foreign: list[Case] = []
    changed: Counter[str] = Counter()
    for case in cases:
        try:
            role = role_of(case, request.asked_role, request.text_prompt, check_prompt)
        except InvalidInput as error:
            outcome.failed.append((case.name, str(error)))
            continue
        settings = settings_of(request, voice, role)
        found = _look(case, settings, locks)
        whole = found.state is State.WHOLE
        outcome.whole += whole
        changed.update(found.differing)
        if found.state is State.FOREIGN:
            foreign.append(case)
        tasks.append(Task(case, settings, sound_sec_of(case.input), whole))
    if not request.overwrite:
        _refuse(foreign, changed)
    return tasks


def _look(case: Case, settings: Settings, locks: Locks) -> Found:
    """What another process is writing just now looks like somebody else's: it is looked at again in its
    turn."""
    found = answered.look(case, settings)
    if found.state is State.FOREIGN:
        with locks.hold(case.folder) as is_locked:
            return answered.look(case, settings) if is_locked else Found(State.OPEN)
    return found


def open_groups(tasks: Sequence[Task], most: int) -> list[Sequence[Task]]:
    """The groups of at most ``most`` tasks of which something is missing. Each is of one data set and of
    recordings of about the same length, since the longest one keeps the others' slots waiting."""
    of_folder: dict[Path, list[Task]] = {}
    for task in tasks:
        of_folder.setdefault(task.case.folder.parent, []).append(task)
    groups = [
        by_length[first : first + most]
        for of_one in of_folder.values()
        for by_length in [sorted(of_one, key=lambda task: task.sound_sec)]
        for first in range(0, len(by_length), most)
    ]
    return [group for group in groups if not all(task.whole for task in group)]


def _refuse(foreign: Sequence[Case], changed: Counter[str]) -> None:
    if foreign:
        first = foreign[0].wav if os.path.lexists(foreign[0].wav) else foreign[0].words
        raise InvalidInput(
            "folder",
            f"{len(foreign)} of the recordings have answers that this command did not write, or that were "
            f"changed since, such as {readable(first)}. Copy the recordings to another folder, or "
            "replace those answers with --overwrite.",
        )
    if changed:
        names = ", ".join(sorted(changed))
        raise InvalidInput(
            "folder",
            f"{max(changed.values())} of the recordings were answered differently from now ({names}). "
            "Give the same options again, copy the recordings to another folder, or replace those answers "
            "with --overwrite.",
        )
