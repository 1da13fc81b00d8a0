"""Answers recordings as fast as a model can, several in one batch, as if each were a caller.

Depends on clips and the model, not on files, calls or threads. Nothing here outlives a function, so it may
run in a forked process.
"""

import itertools
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from personaplex_ui.audio.frames import FRAME_SAMPLES, Frame, Samples, pad_to_frames
from personaplex_ui.engine.speech_model import (
    Answer,
    Persona,
    Sampling,
    SpeechModel,
    WorksBesides,
    complete,
)

LOOKS_AGAIN_SEC = 0.002
"""While the model works for all clips in threads of its own, there is no frame to step."""

Step = Callable[[Mapping[int, Frame]], Mapping[int, Answer]]
Pieces = tuple[tuple[int, str], ...]
"""Frame numbers, and the text that came with each."""


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
class Answered:
    """The answer to clip ``number``, given in ``slot``: ``samples`` in [-1, 1], as long as the clip."""

    number: int
    slot: int
    samples: Samples
    pieces: Pieces


def each_answer(
    model: SpeechModel,
    clips: Iterable[Clip],
    on_step: Callable[[int], None] = lambda frames: None,
    step: Step | None = None,
) -> Generator[Answered]:
    """Yield each answer as soon as it is complete, so shorter clips come first.

    All slots of ``model`` must be free, and are free again afterwards, even if the generator is closed early.
    A slot goes to the next clip as soon as its own is over; only then is that clip taken from ``clips``.
    ``on_step``: called after each step with the number of frames in it. ``step``: what to call in the place
    of ``model.step``.

    Raises:
        InvalidInput: a voice is unknown or a role does not fit.
    """
    step = step or model.step
    waiting = enumerate(clips)
    playing: dict[int, _Playing] = {}
    try:
        while True:
            free = [slot for slot in range(model.slots) if slot not in playing]
            for slot, (number, clip) in zip(free, itertools.islice(waiting, len(free)), strict=False):
                playing[slot] = _Playing(number, clip)
                playing[slot].join(model, slot)
            if not playing:
                return
            heard = {slot: clip.next_frame for slot, clip in playing.items() if clip.wants_step(model, slot)}
            for slot, answer in step(heard).items() if heard else ():
                playing[slot].add(answer)
            on_step(len(heard))
            over = [slot for slot, clip in playing.items() if clip.over]
            for slot in over:
                model.leave(slot)
                yield playing.pop(slot).answered(slot)
            if not (heard or over):
                time.sleep(LOOKS_AGAIN_SEC)
    finally:
        for slot in range(model.slots):
            model.leave(slot)


@dataclass(slots=True)
class _Playing:
    """A clip in its slot."""

    number: int
    clip: Clip
    _frames: list[Frame] = field(default_factory=list[Frame])
    _pieces: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])

    def join(self, model: SpeechModel, slot: int) -> None:
        """Take the slot, unless the clip is empty."""
        if not self.over:
            model.join(slot, complete(model.prepare(self.clip.persona)), self.clip.sampling)

    def wants_step(self, model: SpeechModel, slot: int) -> bool:
        return not (self.over or (isinstance(model, WorksBesides) and model.works_for(slot)))

    @property
    def over(self) -> bool:
        return len(self._frames) == self.clip.frames

    @property
    def next_frame(self) -> Frame:
        start = len(self._frames) * FRAME_SAMPLES
        return pad_to_frames(self.clip.samples[start : start + FRAME_SAMPLES])

    def add(self, answer: Answer) -> None:
        if answer.text:
            self._pieces.append((len(self._frames), answer.text))
        self._frames.append(answer.frame)

    def answered(self, slot: int) -> Answered:
        sound = np.concatenate([*self._frames, np.zeros(0, dtype=np.float32)])
        return Answered(self.number, slot, sound[: len(self.clip.samples)], tuple(self._pieces))
