"""The parity cases: what PersonaPlex must say, token by token, and the tiny checkpoint that says it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from personaplex_ui.audio.frames import FRAME_SAMPLES, Samples, pad_to_frames
from personaplex_ui.engine.speech_model import Persona
from personaplex_ui.models.personaplex.model import PersonaPlexModel
from personaplex_ui.models.personaplex.runtime.buffers import StepOutput

DATA = Path(__file__).parents[1] / "data"
TINY = DATA / "tiny"
CASES = ("voice_preset", "custom_voice_no_prompt", "past_the_context_window")


def unheard(sentence: str, progress: float) -> None:
    """Hears the reports of a loader."""


@dataclass(frozen=True, slots=True)
class Case:
    """``user``: the caller's frames ``[n, 1920]``. ``tokens`` int32 ``[frames, 9]``; ``pcm`` the first 60
    frames."""

    name: str
    persona: Persona
    user: Samples
    tokens: npt.NDArray[np.int32]
    pcm: Samples
    prompt_positions: int


def read_case(name: str) -> Case:
    folder = DATA / "cases" / name
    facts = json.loads((folder / "case.json").read_text())
    user, rate_hz = soundfile.read(folder / facts["user"], dtype="float32")
    assert rate_hz == 24_000
    expected = np.load(folder / "expected.npz")
    voice = Path(facts["voice"]).stem if facts["voice"].endswith(".pt") else name
    return Case(
        name,
        Persona(voice, facts["text_prompt"]),
        pad_to_frames(np.asarray(user, dtype=np.float32)).reshape(-1, FRAME_SAMPLES),
        expected["tokens"],
        expected["pcm_int16"].astype(np.float32) / 32_768,
        facts["prompt_positions"],
    )


class Conversation:
    """One case being played: hears its frames one after the other, and keeps what it is answered."""

    def __init__(self, case: Case, slot: int) -> None:
        self.case = case
        self.slot = slot
        self._outputs: list[StepOutput] = []

    @property
    def over(self) -> bool:
        return len(self._outputs) == len(self.case.user)

    @property
    def next_frame(self) -> Samples:
        return self.case.user[len(self._outputs)]

    def hear(self, outputs: Mapping[int, StepOutput]) -> None:
        if self.slot in outputs:
            self._outputs.append(outputs[self.slot])

    def assert_parity(self) -> None:
        """Every token of every expected frame, and the sound within 1e-3."""
        expected = self.case.tokens
        tokens = np.array([output.tokens for output in self._outputs])[: len(expected)]
        assert np.array_equal(tokens, expected), f"{self.case.name}: first at {_first(tokens, expected)}"
        sound = np.concatenate([output.frame for output in self._outputs])[: len(self.case.pcm)]
        assert np.max(np.abs(sound - self.case.pcm)) < 1e-3


def _first(tokens: npt.NDArray[np.int32], expected: npt.NDArray[np.int32]) -> object:
    return np.argwhere((tokens != expected).any(axis=1))[:1].ravel()


def play(model: PersonaPlexModel, conversation: Conversation) -> None:
    """To its end, alone or beside whoever else is on."""
    while not conversation.over:
        conversation.hear(model.step_tokens({conversation.slot: conversation.next_frame}))
