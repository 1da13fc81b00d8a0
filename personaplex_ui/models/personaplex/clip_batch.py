"""Answers recordings as fast as possible, several in one batch, as if each were a caller.

Depends on clips and the model, not on files or calls. Nothing here outlives a function, so it may run in a
forked process.
"""

from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from personaplex_ui.audio.frames import FRAME_SAMPLES, Frame, Samples, pad_to_frames
from personaplex_ui.engine.speech_model import Persona, Sampling, complete
from personaplex_ui.models.personaplex.model import PersonaPlexModel
from personaplex_ui.models.personaplex.runtime.prompt import CODEBOOKS

Tokens = npt.NDArray[np.int32]

OnProgress = Callable[[int, int], None]
"""Called after each step with the number of answered frames and the total."""


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """A recording, ``samples`` ``[n]``, and the persona that answers it."""

    samples: Samples
    persona: Persona
    sampling: Sampling = Sampling()

    @property
    def frames(self) -> int:
        """The number of whole frames; the last one is padded with silence."""
        return -(-len(self.samples) // FRAME_SAMPLES)


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
    """Yield the number of each clip and its answer as soon as it is complete, so shorter clips come first.

    All slots of ``model`` must be free, and are free again afterwards, even if the generator is closed early.
    A slot goes to the next clip as soon as its own is over.

    Raises:
        InvalidInput: a voice is unknown or a role does not fit; raised before anything is answered.
    """
    for persona in {clip.persona for clip in clips}:
        model.prompt_size(persona).check()
    total, done = sum(clip.frames for clip in clips), 0
    waiting = deque(enumerate(clips))
    playing: dict[int, _Playing] = {}
    try:
        while waiting or playing:
            for slot in range(model.slots):
                if waiting and slot not in playing:
                    playing[slot] = _Playing(*waiting.popleft())
                    playing[slot].join(model, slot)
            heard = {slot: clip.next_frame for slot, clip in playing.items() if not clip.over}
            for slot, output in model.step_tokens(heard).items() if heard else ():
                answer = model.answer(slot, output)
                playing[slot].add(output.tokens, answer.frame, answer.text)
            done += len(heard)
            on_progress(done, total)
            for slot in [slot for slot, clip in playing.items() if clip.over]:
                model.leave(slot)
                clip = playing.pop(slot)
                yield clip.number, clip.answer()
    finally:
        for slot in range(model.slots):
            model.leave(slot)


@dataclass(slots=True)
class _Playing:
    """A clip in its slot."""

    number: int
    clip: Clip
    _tokens: list[Tokens] = field(default_factory=list[Tokens])
    _frames: list[Frame] = field(default_factory=list[Frame])
    _pieces: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])

    def join(self, model: PersonaPlexModel, slot: int) -> None:
        """Take the slot, unless the clip is empty."""
        if not self.over:
            model.join(slot, complete(model.prepare(self.clip.persona)), self.clip.sampling)

    @property
    def over(self) -> bool:
        return len(self._frames) == self.clip.frames

    @property
    def next_frame(self) -> Frame:
        start = len(self._frames) * FRAME_SAMPLES
        return pad_to_frames(self.clip.samples[start : start + FRAME_SAMPLES])

    def add(self, tokens: Tokens, frame: Frame, text: str) -> None:
        if text:
            self._pieces.append((len(self._frames), text))
        self._tokens.append(tokens)
        self._frames.append(frame)

    def answer(self) -> ClipAnswer:
        sound = np.concatenate([*self._frames, np.zeros(0, dtype=np.float32)])
        tokens = np.array(self._tokens, dtype=np.int32).reshape(-1, 1 + CODEBOOKS)
        return ClipAnswer(sound[: len(self.clip.samples)], tokens, tuple(self._pieces))
