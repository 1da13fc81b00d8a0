"""Answers the cases of a folder that have no whole answer, several at a time, even if some of them fail."""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from personaplex_ui.audio.files.clip_file import DecodedClip, decode_clip
from personaplex_ui.audio.frames import FRAME_SEC, SAMPLE_RATE_HZ
from personaplex_ui.engine.clip_batch import Answered, Clip, each_answer
from personaplex_ui.engine.speech_model import Persona, SpeechModel, check_persona
from personaplex_ui.errors import InvalidInput
from personaplex_ui.offline.answer_files import CannotWrite
from personaplex_ui.offline.answering import LONGEST_INPUT_SEC
from personaplex_ui.offline.folder import answered
from personaplex_ui.offline.folder.arguments import FolderRequest
from personaplex_ui.offline.folder.cases import Case, find_cases
from personaplex_ui.offline.folder.engines import Voice, load, voice_of
from personaplex_ui.offline.folder.lock import only_one
from personaplex_ui.offline.folder.progress import Progress
from personaplex_ui.offline.folder.tasks import Outcome, Task, open_groups, tasks_of
from personaplex_ui.offline.folder.words import to_json, words_of

SHOWN = 20
"""Failed cases that are named again at the end, and datasets whose roles are told."""


def answer_folder(request: FolderRequest) -> Outcome:
    """Answer what is not answered yet, telling on stderr how far it is.

    Raises:
        PersonaplexError: nothing more can be answered. What was written by then is whole.
    """
    cases = find_cases(request.folder)
    with only_one(request.folder):
        voice = voice_of(request)
        outcome = Outcome()
        tasks = tasks_of(request, voice, cases, outcome)
        _say(_told(cases, tasks, outcome))
        groups = open_groups(tasks, request.batch)
        if groups:
            model = load(request, voice, min(request.batch, len(cases)))
            _Run(request, voice, model, groups, outcome).go()
    return outcome


def _told(cases: Sequence[Case], tasks: Sequence[Task], outcome: Outcome) -> str:
    whole = f", {outcome.whole} are answered already" if outcome.whole else ""
    to_answer = [task for task in tasks if not task.whole]
    lines = [f"{len(cases)} recordings{whole}; {len(to_answer)} to answer."]
    roles = Counter((task.case.dataset, task.role) for task in to_answer)
    for (dataset, role), count in sorted(roles.items())[:SHOWN]:
        lines.append(f"  {dataset} ({count}): {role[:80] or 'no role'}")
    lines += [f"  {name} could not be answered: {sentence}" for name, sentence in outcome.failed]
    return "\n".join(lines)


def _say(lines: str) -> None:
    print(lines, file=sys.stderr, flush=True)


class _Run:
    """Reads the recordings of one group after the other, so that a folder may be larger than the memory."""

    def __init__(
        self,
        request: FolderRequest,
        voice: Voice,
        model: SpeechModel,
        groups: Sequence[Sequence[Task]],
        outcome: Outcome,
    ) -> None:
        self._request = request
        self._voice = voice
        self._model = model
        self._groups = groups
        self._outcome = outcome
        tasks = [task for group in groups for task in group]
        to_answer = sum(not task.whole for task in tasks)
        self._progress = Progress(to_answer, sum(task.sound_sec for task in tasks))

    def go(self) -> None:
        try:
            for group in self._groups:
                self._answer(group)
        finally:
            self._progress.close()

    def _answer(self, group: Sequence[Task]) -> None:
        read = [(task, clip) for task in group if (clip := self._read(task)) is not None]
        clips = [
            Clip(clip.samples, Persona(self._voice.name, task.role), self._request.sampling)
            for task, clip in read
        ]
        answers = each_answer(self._model, clips, lambda frames: self._progress.stepped(frames * FRAME_SEC))
        try:
            for answer in answers:
                task, clip = read[answer.number]
                if not task.whole:
                    self._write(task, clip.length_samples, answer)
        finally:
            answers.close()

    def _read(self, task: Task) -> DecodedClip | None:
        """None if it cannot be answered."""
        try:
            answered.check_writable(task.case)
            clip = decode_clip(task.case.input, LONGEST_INPUT_SEC)
            check_persona(self._model, Persona(self._voice.name, task.role))
        except (InvalidInput, CannotWrite) as error:
            self._outcome.failed.append((task.case.name, str(error)))
            self._progress.gave_up(task.case.name, task.sound_sec, str(error))
            return None
        return clip

    def _write(self, task: Task, length_samples: int, answer: Answered) -> None:
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
