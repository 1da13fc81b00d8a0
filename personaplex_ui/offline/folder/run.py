"""Answers the cases of a folder that have no whole answer, several at a time, even if some of them fail."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from personaplex_ui.audio.files.clip_file import decode_clip
from personaplex_ui.audio.frames import FRAME_SEC, SAMPLE_RATE_HZ
from personaplex_ui.calls.settings import check_prompt
from personaplex_ui.engine.clip_batch import Answered, Clip, each_answer
from personaplex_ui.engine.speech_model import Persona, SpeechModel, check_persona
from personaplex_ui.errors import InvalidInput, PersonaplexError
from personaplex_ui.offline.answer_files import CannotWrite
from personaplex_ui.offline.answering import LONGEST_INPUT_SEC
from personaplex_ui.offline.folder import answered
from personaplex_ui.offline.folder.answered import Settings, State
from personaplex_ui.offline.folder.arguments import FolderRequest
from personaplex_ui.offline.folder.cases import Case, find_cases
from personaplex_ui.offline.folder.engines import Voice, load, settings_of, voice_of
from personaplex_ui.offline.folder.lock import only_one
from personaplex_ui.offline.folder.progress import Progress
from personaplex_ui.offline.folder.roles import role_of
from personaplex_ui.offline.folder.sound_length import sound_sec_of
from personaplex_ui.offline.folder.words import to_json, words_of

SHOWN = 20
"""Failed cases that are named again at the end, and datasets whose roles are told."""


@dataclass(frozen=True, slots=True)
class Task:
    """A case to answer, and how. ``sound_sec``: as far as its file tells it."""

    case: Case
    settings: Settings
    sound_sec: float

    @property
    def role(self) -> str:
        return str(self.settings["role"])


@dataclass(slots=True)
class Outcome:
    """``failed``: names of cases and sentences."""

    whole: int = 0
    answered: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])


def answer_folder(request: FolderRequest) -> Outcome:
    """Answer what is not answered yet, telling on stderr how far it is.

    Raises:
        PersonaplexError: nothing more can be answered. What was written by then is whole.
    """
    cases = find_cases(request.folder)
    with only_one(request.folder):
        voice = voice_of(request)
        outcome = Outcome()
        tasks = _tasks(request, voice, cases, outcome)
        _say(_told(cases, tasks, outcome))
        if tasks:
            # Not of those that are left: with other slots, sums are rounded differently.
            model = load(request, voice, min(request.batch, len(cases)))
            _Run(request, voice, model, tasks, outcome).go()
    return outcome


def _tasks(request: FolderRequest, voice: Voice, cases: Sequence[Case], outcome: Outcome) -> list[Task]:
    """Those to answer. Raises InvalidInput: there are answers that are not to be replaced unasked."""
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
        found = answered.look(case, settings)
        if found.state is State.WHOLE and not request.overwrite:
            outcome.whole += 1
            continue
        changed.update(found.differing)
        if found.state is State.FOREIGN:
            foreign.append(case)
        tasks.append(Task(case, settings, sound_sec_of(case.input)))
    if not request.overwrite:
        _refuse(foreign, changed)
    return tasks


def _refuse(foreign: Sequence[Case], changed: Counter[str]) -> None:
    if foreign:
        raise InvalidInput(
            "folder",
            f"{len(foreign)} of the recordings have answers that this command did not write, such as "
            f"{foreign[0].wav}. Copy the recordings to another folder, or replace those answers with "
            "--overwrite.",
        )
    if changed:
        names = ", ".join(sorted(changed))
        raise InvalidInput(
            "folder",
            f"{max(changed.values())} of the recordings were answered differently from now ({names}). "
            "Give the same options again, copy the recordings to another folder, or answer all of them again "
            "with --overwrite.",
        )


def _told(cases: Sequence[Case], tasks: Sequence[Task], outcome: Outcome) -> str:
    whole = f", {outcome.whole} are answered already" if outcome.whole else ""
    lines = [f"{len(cases)} recordings{whole}; {len(tasks)} to answer."]
    roles = Counter((task.case.dataset, task.role) for task in tasks)
    for (dataset, role), count in sorted(roles.items())[:SHOWN]:
        lines.append(f"  {dataset} ({count}): {role[:80] or 'no role'}")
    lines += [f"  {name} could not be answered: {sentence}" for name, sentence in outcome.failed]
    return "\n".join(lines)


def _say(lines: str) -> None:
    print(lines, file=sys.stderr, flush=True)


class _Run:
    """Reads each recording when a slot is free for it, so that a folder may be larger than the memory."""

    def __init__(
        self, request: FolderRequest, voice: Voice, model: SpeechModel, tasks: list[Task], outcome: Outcome
    ) -> None:
        self._request = request
        self._voice = voice
        self._model = model
        self._tasks = tasks
        self._outcome = outcome
        self._progress = Progress(len(tasks), sum(task.sound_sec for task in tasks))
        self._taken: list[tuple[Task, int]] = []
        """What is being answered, and how many samples its answer has; by the number of the clip."""

    def go(self) -> None:
        answers = each_answer(
            self._model, self._clips(), lambda frames: self._progress.stepped(frames * FRAME_SEC)
        )
        try:
            for answer in answers:
                self._write(answer)
        finally:
            answers.close()
            self._progress.close()

    def _clips(self) -> Iterator[Clip]:
        for task in self._tasks:
            persona = Persona(self._voice.name, task.role)
            try:
                answered.check_writable(task.case)
                clip = decode_clip(task.case.input, LONGEST_INPUT_SEC)
                check_persona(self._model, persona)
            except (InvalidInput, CannotWrite) as error:
                self._give_up(task, error)
                continue
            self._taken.append((task, clip.length_samples))
            yield Clip(clip.samples, persona, self._request.sampling)

    def _give_up(self, task: Task, error: PersonaplexError) -> None:
        self._outcome.failed.append((task.case.name, str(error)))
        self._progress.gave_up(task.case.name, task.sound_sec, str(error))

    def _write(self, answer: Answered) -> None:
        task, length_samples = self._taken[answer.number]
        samples = answer.samples[:length_samples]
        samples = np.pad(samples, (0, length_samples - len(samples)))
        words = words_of(answer.pieces, samples)
        answered.write(task.case, task.settings, samples, to_json(words))
        self._outcome.answered += 1
        sec = length_samples / SAMPLE_RATE_HZ
        self._progress.finished(task.case.name, f"{sec:.1f} s, {len(words)} words")


def summary_of(outcome: Outcome, folder: Path) -> str:
    """What to tell at the end."""
    lines = [f"{outcome.answered} recordings answered in {folder}."]
    if outcome.failed:
        lines.append(f"{len(outcome.failed)} could not be answered:")
        lines += [f"  {name}: {sentence}" for name, sentence in outcome.failed[:SHOWN]]
        more = len(outcome.failed) - SHOWN
        lines += [f"  and {more} more."] if more > 0 else []
        lines.append("Mend them and run the command again: what is answered stays.")
    return "\n".join(lines)
