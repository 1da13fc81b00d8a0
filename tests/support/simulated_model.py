"""A model whose work moves a simulated clock by what is computed for an L4 with int8 weights."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

from personaplex_ui.audio.frames import FRAME_SEC, Frame
from personaplex_ui.engine.speech_model import (
    Answer,
    Persona,
    Preparation,
    PreparedPersona,
    Sampling,
    StepCosts,
)
from tests.support.clock import Clock
from tests.support.fake_model import FakeModel, FakePreparation

FULL_WINDOW_SEC = 240.0


@dataclass(frozen=True)
class Machine:
    """What the model's work takes, in seconds. A step takes ``base``, give or take ``noise``, and for each
    caller ``fresh``, rising to ``full`` as its window fills. ``mimi``: a frame of a recorded voice."""

    base: float = 0.035
    fresh: float = 0.0035
    full: float = 0.007
    ride: float = 0.003
    chunk: float = 0.029
    mimi: float = 0.003
    join: float = 0.003
    leave: float = 0.001
    noise: float = 0.001


L4_INT8 = Machine()
"""63 ms for four callers whose windows are full."""

L4_INT8_MORE_KERNELS = Machine(base=0.044)
"""As long as kernels are many: 72 ms."""


class SimulatedPreparation(FakePreparation):
    """The frames of a recorded voice go through Mimi and cannot ride. All other chunks can, but of one prompt
    only until it is done: the model has one row for it."""

    model: "SimulatedModel"
    voice_frames = 0

    @property
    def in_prompt(self) -> bool:
        return self.chunks_done >= self.voice_frames

    @property
    def can_ride(self) -> bool:
        return self.in_prompt and self.model.prompt in (None, self)

    def advance(self) -> None:
        machine = self.model.machine
        if self.in_prompt:
            assert self.can_ride, "one that may ride is run by itself, and never can again"
            self.model.prompt = self
            self.model.clock.now += machine.ride if self.model.stepping else machine.chunk
        else:
            self.model.clock.now += machine.mimi
        super().advance()
        if self.done:
            self.close()

    def close(self) -> None:
        if self.model.prompt is self:
            self.model.prompt = None
        super().close()


class SimulatedModel(FakeModel):
    """``chunks``: how many the role takes. A voice named ``15 s`` is a recording of as many seconds."""

    def __init__(self, machine: Machine, clock: Clock, slots: int, chunks: int = 10) -> None:
        super().__init__(slots, chunks)
        self.machine = machine
        self.clock = clock
        self.stepping = False
        self.prompt: SimulatedPreparation | None = None
        self.costs = StepCosts(machine.base + slots * machine.full, machine.ride, machine.chunk, machine.mimi)
        self._random = random.Random(1)
        self._joined_at: dict[int, float] = {}

    def prepare(self, persona: Persona) -> Preparation:
        preparation = SimulatedPreparation(self, persona, self.chunks)
        if persona.voice.endswith(" s"):
            preparation.voice_frames = round(float(persona.voice.removesuffix(" s")) / FRAME_SEC)
            preparation.chunks += preparation.voice_frames
        return preparation

    def join(self, slot: int, persona: PreparedPersona, sampling: Sampling) -> None:
        super().join(slot, persona, sampling)
        self._joined_at[slot] = self.clock.now
        self.clock.now += self.machine.join

    def fill_windows(self) -> None:
        """As if all who are on had been on for four minutes."""
        for slot in self._joined_at:
            self._joined_at[slot] = -FULL_WINDOW_SEC

    def step(self, heard: Mapping[int, Frame], riding: Preparation | None = None) -> Mapping[int, Answer]:
        machine = self.machine
        self.clock.now += machine.base + self._random.uniform(-1, 1) * machine.noise
        for joined_at in self._joined_at.values():
            filled = min(1.0, (self.clock.now - joined_at) / FULL_WINDOW_SEC)
            self.clock.now += machine.fresh + filled * (machine.full - machine.fresh)
        self.stepping = True
        answers = super().step(heard, riding)
        self.stepping = False
        return answers

    def leave(self, slot: int) -> None:
        if self._joined_at.pop(slot, None) is not None:
            self.clock.now += self.machine.leave
        super().leave(slot)
