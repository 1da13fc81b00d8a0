"""The echo engine as a speech model: listens all the time, repeats what it heard after a pause, and falls
silent when interrupted. Deterministic for a seed. Any number of callers per step; no torch.
"""

from collections import deque
from collections.abc import Mapping

import numpy as np

from personaplex_ui.audio.frames import Frame, silent_frame
from personaplex_ui.audio.listener import Listener
from personaplex_ui.engine.speech_model import (
    MAX_TEXTS_WAITING,
    QUEUE_FULL,
    Answer,
    Persona,
    Preparation,
    Prepared,
    PreparedPersona,
    Sampling,
    StepCosts,
)
from personaplex_ui.errors import SpeakQueueFull
from personaplex_ui.models.echo.sentences import GREETING, describe, sound_of
from personaplex_ui.models.echo.voice import Saying, pitch_ratio

INTERRUPTED_AFTER_FRAMES = 2
"""Consecutive frames of speech after which it falls silent: a single one may be a cough or a click."""


class EchoCaller:
    """One slot: its listener, what is being said, and the texts waiting."""

    def __init__(self, ratio: float, sampling: Sampling, greeting: str) -> None:
        self._ratio = ratio
        self._generator = np.random.default_rng(sampling.seed)
        self._listener = Listener()
        self._saying: Saying | None = Saying(sound_of(greeting), greeting, ratio)
        self._texts: deque[str] = deque()

    def speak(self, text: str) -> None:
        if len(self._texts) >= MAX_TEXTS_WAITING:
            raise SpeakQueueFull(QUEUE_FULL)
        self._texts.append(text)

    def step(self, frame: Frame) -> Answer:
        utterance = self._listener.hear(frame)
        if self._saying is not None and self._listener.speech_frames >= INTERRUPTED_AFTER_FRAMES:
            interrupted, self._saying = self._saying, None
            return Answer(interrupted.fade_out())
        if utterance is not None:
            text = describe(utterance, self._generator)
            self._saying = Saying(utterance.samples, text, self._ratio)
        if self._saying is None and self._texts and not self._listener.hearing:
            text = self._texts.popleft()
            self._saying = Saying(sound_of(text), text, self._ratio)
        if self._saying is None:
            return Answer(silent_frame())
        sound, words = self._saying.next_frame()
        if self._saying.over:
            self._saying = None
        return Answer(sound, words)


class EchoModel:
    """See ``SpeechModel``. It accepts any voice name, which determines the pitch."""

    name = "echo"
    device = "cpu"
    licence_note = ""
    clips_only = ""
    costs = StepCosts()

    def __init__(self, slots: int, greeting: str = GREETING, stands_in_because: str = "") -> None:
        """``stands_in_because``: why another engine, which was wanted, does not answer; see ``StandIn``."""
        self.slots = slots
        self.stands_in_because = stands_in_because
        self._greeting = greeting
        self._callers: dict[int, EchoCaller] = {}

    def prompt_size(self, persona: Persona) -> None:
        """The echo ignores the role."""

    def prepare(self, persona: Persona) -> Preparation:
        return Prepared(pitch_ratio(persona.voice))

    def join(self, slot: int, persona: PreparedPersona, sampling: Sampling) -> None:
        assert isinstance(persona, float)
        self._callers[slot] = EchoCaller(persona, sampling, self._greeting)

    def step(self, heard: Mapping[int, Frame], riding: Preparation | None = None) -> Mapping[int, Answer]:
        return {slot: self._callers[slot].step(frame) for slot, frame in heard.items()}

    def leave(self, slot: int) -> None:
        self._callers.pop(slot, None)

    def change_sampling(self, slot: int, sampling: Sampling) -> None:
        """The echo samples only the wording of its texts, which follows the seed of the call."""

    def speak(self, slot: int, text: str) -> None:
        self._callers[slot].speak(text)

    def memory_allocated_mb(self) -> float:
        return 0.0
