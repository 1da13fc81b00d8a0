"""Times a speech model: how long each step takes, and which answer belongs to which frame.

Depends on the ``SpeechModel`` protocol, not on a particular model.
"""

import time
from collections.abc import Mapping
from dataclasses import replace

from personaplex_ui.audio.frames import Frame, Samples
from personaplex_ui.engine.speech_model import (
    Answer,
    Persona,
    Preparation,
    PreparedPersona,
    PromptSize,
    Sampling,
    SpeechModel,
    StepCosts,
)

STAMP_SCALE = 2.0**-24
"""Float32 holds whole multiples of it below 1 exactly, and 2,000 of them are still 78 dB below full scale."""


def stamp(samples: Samples, number: int) -> None:
    """Write ``number`` (0 to 2**24) into the last sample, inaudibly."""
    samples[-1] = number * STAMP_SCALE


def stamp_of(answer: Frame) -> int:
    """The number in the last sample of the frame that ``answer`` answers."""
    return round(float(answer[0]) / STAMP_SCALE)


class TimedModel:
    """``model``, with ``step_sec`` noting how long each step took, by the number of callers in it."""

    def __init__(self, model: SpeechModel) -> None:
        self._model = model
        self.step_sec: dict[int, list[float]] = {}

    @property
    def name(self) -> str:
        return self._model.name

    @property
    def device(self) -> str:
        return self._model.device

    @property
    def slots(self) -> int:
        return self._model.slots

    @property
    def licence_note(self) -> str:
        return self._model.licence_note

    @property
    def clips_only(self) -> str:
        return self._model.clips_only

    @property
    def costs(self) -> StepCosts:
        return self._model.costs

    def prompt_size(self, persona: Persona) -> PromptSize | None:
        return self._model.prompt_size(persona)

    def prepare(self, persona: Persona) -> Preparation:
        return self._model.prepare(persona)

    def join(self, slot: int, persona: PreparedPersona, sampling: Sampling) -> None:
        self._model.join(slot, persona, sampling)

    def step(self, heard: Mapping[int, Frame], riding: Preparation | None = None) -> Mapping[int, Answer]:
        started = time.perf_counter()
        answers = self._model.step(heard, riding)
        self.step_sec.setdefault(len(heard), []).append(time.perf_counter() - started)
        return {slot: _stamped(answer, heard[slot]) for slot, answer in answers.items()}

    def leave(self, slot: int) -> None:
        self._model.leave(slot)

    def change_sampling(self, slot: int, sampling: Sampling) -> None:
        self._model.change_sampling(slot, sampling)

    def speak(self, slot: int, text: str) -> None:
        self._model.speak(slot, text)

    def memory_allocated_mb(self) -> float:
        return self._model.memory_allocated_mb()


def _stamped(answer: Answer, heard: Frame) -> Answer:
    frame = answer.frame.copy()
    frame[0] = heard[-1]
    return replace(answer, frame=frame)
