"""``engine.clip_batch`` with the tokens of each answer, as the offline command and the tests want them.

Nothing here outlives a function, so it may run in a forked process.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from personaplex_ui.audio.frames import Frame, Samples
from personaplex_ui.engine import clip_batch
from personaplex_ui.engine.clip_batch import Clip
from personaplex_ui.engine.speech_model import Answer
from personaplex_ui.models.personaplex.model import PersonaPlexModel
from personaplex_ui.models.personaplex.runtime.prompt import CODEBOOKS

Tokens = npt.NDArray[np.int32]

OnProgress = Callable[[int, int], None]
"""Called after each step with the number of answered frames and the total."""


@dataclass(frozen=True, slots=True, eq=False)
class ClipAnswer:
    """The answer to a clip: ``samples`` in [-1, 1], as long as the clip; ``tokens`` int32 ``[frames, 9]``
    (text, then the assistant's 8 codebooks); ``pieces``: frame numbers and the text that came with each."""

    samples: Samples
    tokens: Tokens
    pieces: tuple[tuple[int, str], ...]


def answer_clips(
    model: PersonaPlexModel, clips: Sequence[Clip], on_progress: OnProgress = lambda done, total: None
) -> list[ClipAnswer]:
    """The answers to ``clips``, in order. See ``each_answer``."""
    answers = dict(each_answer(model, clips, on_progress))
    return [answers[number] for number in range(len(clips))]


def each_answer(
    model: PersonaPlexModel, clips: Sequence[Clip], on_progress: OnProgress = lambda done, total: None
) -> Generator[tuple[int, ClipAnswer]]:
    """Yield the number of each clip and its answer. See ``engine.clip_batch.each_answer``.

    Raises:
        InvalidInput: a voice is unknown or a role does not fit; raised before anything is answered.
    """
    for persona in {clip.persona for clip in clips}:
        model.prompt_size(persona).check()
    total, done = sum(clip.frames for clip in clips), 0
    tokens: dict[int, list[Tokens]] = {}

    def step(heard: Mapping[int, Frame]) -> Mapping[int, Answer]:
        outputs = model.step_tokens(heard)
        for slot, output in outputs.items():
            tokens.setdefault(slot, []).append(output.tokens)
        return {slot: model.answer(slot, output) for slot, output in outputs.items()}

    def count(frames: int) -> None:
        nonlocal done
        done += frames
        on_progress(done, total)

    answers = clip_batch.each_answer(model, clips, count, step)
    try:
        for answer in answers:
            of_clip = np.array(tokens.pop(answer.slot, []), dtype=np.int32).reshape(-1, 1 + CODEBOOKS)
            yield answer.number, ClipAnswer(answer.samples, of_clip, answer.pieces)
    finally:
        answers.close()
