"""Answers one group of recordings after the other, so that a folder may be larger than the memory."""

import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from personaplex_ui.audio.files.clip_file import DecodedClip, decode_open_file
from personaplex_ui.audio.files.regular_file import open_regular
from personaplex_ui.audio.frames import FRAME_SEC, SAMPLE_RATE_HZ
from personaplex_ui.engine.clip_batch import Answered, Clip, each_answer
from personaplex_ui.engine.speech_model import Persona, SpeechModel, check_persona
from personaplex_ui.errors import InvalidInput
from personaplex_ui.offline.answer_files import CannotWrite, DiskFull
from personaplex_ui.offline.answering import LONGEST_INPUT_SEC
from personaplex_ui.offline.engines import Voice, load
from personaplex_ui.offline.folder import answered
from personaplex_ui.offline.folder.answered import State
from personaplex_ui.offline.folder.arguments import FolderRequest
from personaplex_ui.offline.folder.cases import Case
from personaplex_ui.offline.folder.lock import Locks
from personaplex_ui.offline.folder.progress import Progress
from personaplex_ui.offline.folder.tasks import Outcome, Task
from personaplex_ui.offline.folder.words import to_json, words_of

ANSWERED_ELSEWHERE = "It is being answered by another process. Run the command again when that one has ended."
CHANGED_SINCE = "Its answer was replaced while this command ran. Run the command again."


@dataclass(frozen=True, slots=True, eq=False)
class _Heard:
    """A recording, and the SHA-256 of its file."""

    task: Task
    clip: DecodedClip
    sha256: str


class GroupRun:
    """Answers ``groups`` with a model of ``slots`` slots, and notes in ``outcome`` what came of it."""

    def __init__(
        self,
        request: FolderRequest,
        voice: Voice,
        slots: int,
        groups: Sequence[Sequence[Task]],
        outcome: Outcome,
        locks: Locks,
    ) -> None:
        self._request = request
        self._voice = voice
        self._slots = slots
        self._groups = groups
        self._outcome = outcome
        self._locks = locks
        self._model: SpeechModel | None = None
        tasks = [task for group in groups for task in group]
        self._progress = Progress(
            sum(not task.whole for task in tasks), sum(task.sound_sec for task in tasks)
        )

    def go(self) -> None:
        """Raises PersonaplexError: nothing more can be answered."""
        try:
            for group in self._groups:
                with contextlib.ExitStack() as locked:
                    self._answer(group, locked)
        finally:
            self._progress.close()

    def _answer(self, group: Sequence[Task], locked: contextlib.ExitStack) -> None:
        """All recordings of the group that can be heard are answered together, and those answers are written
        that are to be."""
        to_write = {task.case for task in group if not task.whole and self._is_to_be_written(task, locked)}
        heard = [each for task in group if task.case in to_write and (each := self._hear(task)) is not None]
        model = self._loaded() if heard else None
        heard = [each for each in heard if model and self._takes_role(model, each.task)]
        if model and heard:
            to_write = {each.task.case for each in heard}
            heard += self._others(model, group, to_write)
        self._progress.skipped(
            sum(task.sound_sec for task in group) - sum(each.task.sound_sec for each in heard)
        )
        if model and heard:
            order = {task.case: number for number, task in enumerate(group)}
            heard.sort(key=lambda each: order[each.task.case])
            self._answer_together(model, heard, to_write)

    def _is_to_be_written(self, task: Task, locked: contextlib.ExitStack) -> bool:
        """Lock it, and look again: another process may have answered it since this one began."""
        if not locked.enter_context(self._locks.hold(task.case.folder)):
            self._give_up(task, ANSWERED_ELSEWHERE)
            return False
        state = answered.look(task.case, task.settings).state
        if state is State.WHOLE:
            self._outcome.whole += 1
            self._progress.finished(task.case.name, "answered by another process")
            return False
        if state is not State.OPEN and not self._request.overwrite:
            self._give_up(task, CHANGED_SINCE)
            return False
        return True

    def _hear(self, task: Task) -> _Heard | None:
        """None if it cannot be answered, which is told."""
        try:
            answered.check_writable(task.case)
            return _heard(task)
        except (InvalidInput, CannotWrite) as error:
            self._give_up(task, str(error))
            return None

    def _takes_role(self, model: SpeechModel, task: Task) -> bool:
        try:
            check_persona(model, self._persona(task))
        except InvalidInput as error:
            self._give_up(task, str(error))
            return False
        return True

    def _others(self, model: SpeechModel, group: Sequence[Task], besides: set[Case]) -> list[_Heard]:
        """Those whose answers are not to be written, as far as they can be heard."""
        others: list[_Heard] = []
        for task in group:
            if task.case not in besides:
                with contextlib.suppress(InvalidInput):
                    check_persona(model, self._persona(task))
                    others.append(_heard(task))
        return others

    def _loaded(self) -> SpeechModel:
        """Loaded only once something can be answered."""
        if self._model is None:
            self._model = load(self._request, self._voice, self._slots)
            self._progress.began()
        return self._model

    def _answer_together(self, model: SpeechModel, heard: Sequence[_Heard], to_write: set[Case]) -> None:
        clips = [Clip(each.clip.samples, self._persona(each.task), self._request.sampling) for each in heard]
        answers = each_answer(model, clips, lambda frames: self._progress.stepped(frames * FRAME_SEC))
        with contextlib.closing(answers):
            for answer in answers:
                if heard[answer.number].task.case in to_write:
                    self._write(heard[answer.number], answer)

    def _write(self, heard: _Heard, answer: Answered) -> None:
        task, length_samples = heard.task, heard.clip.length_samples
        samples = answer.samples[:length_samples]
        samples = np.pad(samples, (0, length_samples - len(samples)))
        words = words_of(answer.pieces, samples)
        try:
            answered.write(task.case, task.settings, samples, to_json(words), heard.sha256)
        except DiskFull:
            raise
        except CannotWrite as error:
            self._give_up(task, str(error))
            return
        self._outcome.answered += 1
        self._progress.finished(
            task.case.name, f"{length_samples / SAMPLE_RATE_HZ:.1f} s, {len(words)} words"
        )

    def _persona(self, task: Task) -> Persona:
        return Persona(self._voice.name, task.role)

    def _give_up(self, task: Task, sentence: str) -> None:
        self._outcome.failed.append((task.case.name, sentence))
        self._progress.gave_up(task.case.name, sentence)


def _heard(task: Task) -> _Heard:
    """Raises InvalidInput: it cannot be heard."""
    try:
        with open_regular(task.case.input) as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            return _Heard(task, decode_open_file(file, LONGEST_INPUT_SEC), sha256)
    except OSError as error:
        raise InvalidInput(
            "audio", f"The audio file cannot be opened ({error.strerror}). Grant access, or replace it."
        ) from error
