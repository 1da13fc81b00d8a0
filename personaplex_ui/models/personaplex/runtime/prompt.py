"""The prompt, frame by frame: voice, silence, role, silence. Pure arithmetic on token numbers.

Source: NVIDIA's reference ``lm.py`` (``step_system_prompts``). A *frame* is 17 tokens: the text, the
assistant's 8 codebooks, the caller's 8. The model reads *positions*: frame f writes its text and first
codebooks at position f, its other codebooks one later (``DELAYS``); position 0, and the delayed codebooks of
position 1, hold initial tokens.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Tokens = npt.NDArray[np.int64]

CODEBOOKS = 8
STREAMS = 1 + 2 * CODEBOOKS
DELAYS = np.array([0, *[0, *[1] * 7] * 2])
"""The delay of each of the 17 streams, in positions."""

TEXT_PADDING = 3
SILENCE_FRAMES = 6
"""int(0.5 s x 12.5 frames a second)."""

SILENCE_CODES = np.array([948, 243, 1178, 546, 1736, 1030, 1978, 2008])
"""Mimi's codes of a silent frame, which the assistant says during the prompt."""

SINE_CODES = np.array([430, 1268, 381, 1611, 1095, 1495, 56, 472])
"""Mimi's codes of a 440 Hz frame, which the caller says during the prompt."""

TAG = "<system>"


@dataclass(frozen=True, slots=True)
class PresetVoice:
    """A voice as saved by the reference: the inputs of the first ``positions`` positions, and the leftover
    tokens. ``ring`` ``[17, 4]``: position p is at column p % 4."""

    positions: int
    ring: Tokens


@dataclass(frozen=True, slots=True)
class RecordedVoice:
    """The Mimi codes of a recording, ``[frames, 8]``."""

    codes: Tokens


@dataclass(frozen=True, slots=True)
class PromptPositions:
    """``tokens`` ``[17, n]``: the inputs of positions ``first`` to ``first + n - 1``; a preset voice supplies
    the earlier ones as embeddings."""

    first: int
    tokens: Tokens

    @property
    def end(self) -> int:
        return self.first + self.tokens.shape[1]


def tagged(text_prompt: str) -> str:
    """The role between two tags, as in training; never tagged twice; empty stays empty."""
    text = text_prompt.strip()
    if not text or (text.startswith(TAG) and text.endswith(TAG)):
        return text
    return f"{TAG} {text} {TAG}"


def prompt_frames(text_tokens: list[int]) -> Tokens:
    """The frames after the voice, ``[17, 6 + len(text_tokens) + 6]``."""
    texts = [TEXT_PADDING] * SILENCE_FRAMES + text_tokens + [TEXT_PADDING] * SILENCE_FRAMES
    frames = np.empty((STREAMS, len(texts)), dtype=np.int64)
    frames[0] = texts
    frames[1 : 1 + CODEBOOKS] = SILENCE_CODES[:, None]
    frames[1 + CODEBOOKS :] = SINE_CODES[:, None]
    return frames


def voice_frames(codes: Tokens) -> Tokens:
    """The frames of a recorded voice ``[n, 8]``: ``[17, n]``."""
    frames = np.empty((STREAMS, len(codes)), dtype=np.int64)
    frames[0] = TEXT_PADDING
    frames[1 : 1 + CODEBOOKS] = codes.T
    frames[1 + CODEBOOKS :] = SINE_CODES[:, None]
    return frames


def positions_of(frames: Tokens, initial: int, initial_text: int) -> Tokens:
    """``frames`` ``[17, n]`` from the very beginning as what the model reads at positions 0 to n - 1."""
    before = np.full((STREAMS, 1), initial, dtype=np.int64)
    before[0] = initial_text
    positions = _delayed(frames, before)
    # A stream reads its initial token up to and including the position of its delay.
    for stream, delay in enumerate(DELAYS):
        positions[stream, : delay + 1] = before[stream, 0]
    return positions


def build_prompt(
    voice: PresetVoice | RecordedVoice, text_tokens: list[int], initial: int, initial_text: int
) -> PromptPositions:
    """The inputs of all prompt positions that are not given as embeddings."""
    rest = prompt_frames(text_tokens)
    match voice:
        case RecordedVoice(codes):
            frames = np.concatenate([voice_frames(codes), rest], axis=1)
            return PromptPositions(0, positions_of(frames, initial, initial_text))
        case PresetVoice(first, ring):
            # Position `first` is complete in the ring; of the next one only the delayed codebooks are needed.
            left_over = ring[:, [first % ring.shape[1], (first + 1) % ring.shape[1]]]
            positions = _delayed(rest, left_over[:, 1:])
            return PromptPositions(first, np.concatenate([left_over[:, :1], positions], axis=1))


def _delayed(frames: Tokens, before: Tokens) -> Tokens:
    """Frames as positions: delayed streams take their first token from ``before`` ``[17, 1]`` and lose
    their last."""
    late = np.concatenate([before, frames[:, :-1]], axis=1)
    return np.where(DELAYS[:, None] == 1, late, frames)
