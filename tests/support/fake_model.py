"""A speech model for tests: repeats each frame at once, and does what a test tells it to do wrong."""

import threading
from collections.abc import Mapping
from dataclasses import replace

from personaplex_ui.audio.frames import Frame
from personaplex_ui.engine.speech_model import (
    Answer,
    Heard,
    Persona,
    Preparation,
    PreparedPersona,
    PromptSize,
    Sampling,
    StepCosts,
)
from personaplex_ui.errors import InvalidInput, SpeakQueueFull


class FakePreparation:
    """``persona`` in so many ``chunks``, each of which ``model`` does."""

    def __init__(self, model: "FakeModel", persona: Persona, chunks: int) -> None:
        self.model = model
        self.wanted = persona
        self.chunks = chunks
        self.chunks_done = 0

    @property
    def progress(self) -> float:
        return self.chunks_done / self.chunks

    @property
    def done(self) -> bool:
        return self.chunks_done == self.chunks

    @property
    def can_ride(self) -> bool:
        return self.model.gives_rides

    @property
    def in_prompt(self) -> bool:
        return True

    def advance(self) -> None:
        assert not self.done
        self.model.do_chunk(self.wanted)
        self.chunks_done += 1

    def persona(self) -> PreparedPersona:
        assert self.done
        return self.wanted

    def close(self) -> None:
        self.model.closed_preparations += not self.done


class FakeModel:
    """``going`` cleared: the next step blocks until it is set. ``fail_steps``: so many steps raise.
    ``most_words``: a role of more does not fit, unless it is 0. ``gives_rides``: chunks can ride in steps;
    ``rides``: the personas that did."""

    name = "fake"
    device = "cpu"
    costs = StepCosts()

    def __init__(self, slots: int = 4, chunks: int = 1) -> None:
        self.slots = slots
        self.chunks = chunks
        self.going = threading.Event()
        self.going.set()
        self.fail_steps = 0
        self.steps: list[tuple[int, ...]] = []
        self.joined: dict[int, tuple[PreparedPersona, Sampling]] = {}
        self.closed_preparations = 0
        self.licence_note = ""
        self.clips_only = ""
        self.most_words = 0
        self.spoken: list[tuple[int, str]] = []
        self.gives_rides = False
        self.rides: list[Persona] = []

    def prompt_size(self, persona: Persona) -> PromptSize | None:
        return PromptSize(len(persona.text_prompt.split()), self.most_words) if self.most_words else None

    def prepare(self, persona: Persona) -> Preparation:
        if persona.voice == "nobody":
            raise InvalidInput("voice", "There is no voice “nobody”.")
        return FakePreparation(self, persona, self.chunks)

    def do_chunk(self, persona: Persona) -> None:
        """The next chunk of ``persona``, by itself or in a step."""
        if persona.text_prompt == "break":
            raise RuntimeError("a fault of the model")

    def join(self, slot: int, persona: PreparedPersona, sampling: Sampling) -> None:
        self.joined[slot] = (persona, sampling)

    def step(self, heard: Mapping[int, Frame], riding: Preparation | None = None) -> Mapping[int, Answer]:
        assert set(heard) <= set(self.joined)
        self.going.wait(10)
        self.steps.append(tuple(sorted(heard)))
        if self.fail_steps:
            self.fail_steps -= 1
            raise RuntimeError("a fault of the model")
        if riding is not None:
            assert isinstance(riding, FakePreparation)
            assert riding.can_ride
            riding.advance()
            self.rides.append(riding.wanted)
        return {slot: Answer(frame, " word") for slot, frame in heard.items()}

    def leave(self, slot: int) -> None:
        self.joined.pop(slot, None)

    def change_sampling(self, slot: int, sampling: Sampling) -> None:
        self.joined[slot] = (self.joined[slot][0], sampling)

    def speak(self, slot: int, text: str) -> None:
        if text == "one too many":
            raise SpeakQueueFull("Ten texts are already waiting.")
        self.spoken.append((slot, text))

    def memory_allocated_mb(self) -> float:
        return 0.0


class HearingModel(FakeModel):
    """A model that hears words: ``to_tell``, one of them, or none, with each frame."""

    heard_by = "Kyutai's STT"

    def __init__(self, *to_tell: Heard | None, slots: int = 4) -> None:
        super().__init__(slots)
        self.to_tell = list(to_tell)

    def step(self, heard: Mapping[int, Frame], riding: Preparation | None = None) -> Mapping[int, Answer]:
        answers = super().step(heard, riding)
        return {
            slot: replace(answer, heard=self.to_tell.pop(0) if self.to_tell else None)
            for slot, answer in answers.items()
        }
