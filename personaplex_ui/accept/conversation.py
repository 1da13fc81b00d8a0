"""A conversation as tokens: the prompt, what the caller said and what the model answered, frame by frame."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from personaplex_ui.accept.teacher_forcing import to_numpy
from personaplex_ui.audio.frames import FRAME_SAMPLES, Samples
from personaplex_ui.engine.speech_model import Persona, Sampling, complete
from personaplex_ui.models.personaplex.model import PersonaPlexModel
from personaplex_ui.models.personaplex.runtime.prompt import (
    CODEBOOKS,
    STREAMS,
    Tokens,
    positions_of,
    prompt_frames,
    voice_frames,
)

Said = npt.NDArray[np.int32]
"""``[n, 9]``: of each frame the text, then the assistant's 8 codebooks."""

OnFrame = Callable[[float], None]
"""Called after each frame with the progress in [0, 1]."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """``prompt`` ``[17, p]``; ``heard``: the caller's codes ``[n, 8]``; ``said`` ``[n, 9]``."""

    prompt: Tokens
    heard: Tokens
    said: Said

    def positions(self, model: PersonaPlexModel) -> Tokens:
        """What ``model`` reads at each position of it, ``[17, p + n]``."""
        frames = np.empty((STREAMS, len(self.said)), dtype=np.int64)
        frames[: 1 + CODEBOOKS] = self.said.T
        frames[1 + CODEBOOKS :] = self.heard.T
        lm = model.language_model
        whole = np.concatenate([self.prompt, frames], axis=1)
        return positions_of(whole, lm.initial_token_id, lm.text_initial_token_id)


def prompt_of(model: PersonaPlexModel, persona: Persona) -> Tokens:
    """The prompt of a persona with a recorded voice, ``[17, p]``."""
    codes = codes_of(model, model.voices.recording(persona.voice))
    role = prompt_frames(model.role_tokens(persona.text_prompt))
    return np.concatenate([voice_frames(codes), role], axis=1)


def codes_of(model: PersonaPlexModel, sound: Samples) -> Tokens:
    """Mimi's codes of whole frames from the beginning, ``[n, 8]``; live calls are not disturbed."""
    frames = torch.from_numpy(sound.reshape(-1, FRAME_SAMPLES)).to(model.language_model.device)
    with torch.no_grad():
        codes = torch.stack(list(model.stepper.codec.encode_recording(frames)))
    return np.asarray(to_numpy(codes), dtype=np.int64)


def answer(
    model: PersonaPlexModel, persona: Persona, sound: Samples, sampling: Sampling, on_frame: OnFrame
) -> Said:
    """What ``model`` says to the frames ``sound`` ``[n, 1920]``, alone in slot 0."""
    model.join(0, complete(model.prepare(persona)), sampling)
    said: list[Said] = []
    try:
        for number, frame in enumerate(sound):
            said.append(model.step_tokens({0: frame})[0].tokens)
            on_frame((number + 1) / len(sound))
    finally:
        model.leave(0)
    return np.array(said, dtype=np.int32)


def converse(
    model: PersonaPlexModel, persona: Persona, sound: Samples, sampling: Sampling, on_frame: OnFrame
) -> Conversation:
    """As ``answer``, with all that was read."""
    said = answer(model, persona, sound, sampling, on_frame)
    return Conversation(prompt_of(model, persona), codes_of(model, sound), said)
