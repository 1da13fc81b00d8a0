"""Steps all callers of one model as a batch: the caller's sound in, the assistant's tokens and sound out.

Rows 0 to n-1 of every tensor are the active callers, so an idle slot costs nothing; when one leaves, the last
row takes its place. A caller's answers depend only on its own persona, settings, seed and sound.

One step of a caller at position p: read (text, assistant, caller) of p, draw the text of p + 1, then the
assistant's first codebook of frame p + 1 and the others of frame p, which complete the answer to the frame
just heard.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from moshi.models.compression import MimiModel
from moshi.models.lm import LMModel
from torch import Tensor

from personaplex_ui.audio.frames import FRAME_SAMPLES, Frame, Samples
from personaplex_ui.engine.speech_model import MAX_AUDIO_TOP_K, MAX_TEXT_TOP_K, Sampling
from personaplex_ui.models.personaplex.runtime.codec import Codec
from personaplex_ui.models.personaplex.runtime.depth import Depth
from personaplex_ui.models.personaplex.runtime.prompt import CODEBOOKS, SILENCE_CODES, SINE_CODES
from personaplex_ui.models.personaplex.runtime.sampling import new_sampling_batch, sample
from personaplex_ui.models.personaplex.runtime.temporal import KeyValues, Temporal


@dataclass(frozen=True, slots=True)
class PrefillState:
    """The model after a prompt: keys and values of its positions, one row; its last hidden state ``[1,
    dim]`` and the logits of the text token that follows ``[1, text_card]``."""

    key_values: KeyValues
    hidden: Tensor
    text_logits: Tensor
    positions: int

    @property
    def size_bytes(self) -> int:
        return self.key_values.tensor.nbytes + self.hidden.nbytes + self.text_logits.nbytes


@dataclass(frozen=True, slots=True)
class StepOutput:
    """The answer to one frame: ``tokens`` int32 ``[9]`` (text, then the assistant's 8 codebooks), and its
    sound."""

    tokens: np.ndarray[tuple[int], np.dtype[np.int32]]
    frame: Frame


def to_numpy(tensor: Tensor) -> Any:
    """``tensor`` on the CPU, as numpy sees it."""
    return cast(Any, tensor.cpu()).numpy()


class Stepper:
    def __init__(self, lm: LMModel, mimi: MimiModel, slots: int) -> None:
        self.temporal = Temporal(lm)
        self.codec = Codec(mimi, slots)
        self._depth = Depth(lm)
        self._slots: list[int] = []
        self._key_values = self.temporal.new_key_values(slots)
        self._device = device = self.temporal.device
        self._text_sampling = new_sampling_batch(slots, MAX_TEXT_TOP_K, device)
        self._audio_sampling = new_sampling_batch(slots, MAX_AUDIO_TOP_K, device)
        self._generators: list[torch.Generator] = []
        self._text_noise = torch.ones(slots, lm.text_card, device=device)
        self._audio_noise = torch.ones(slots, CODEBOOKS, lm.card, device=device)
        self._positions = torch.zeros(slots, dtype=torch.long, device=device)
        self._read = torch.zeros(slots, 2 * CODEBOOKS + 1, dtype=torch.long, device=device)
        """Tokens of the next position: text, assistant, caller; the caller's first codebook is not heard
        yet."""
        self._lengths: list[int] = []
        self._silence = torch.from_numpy(SILENCE_CODES).to(device)
        self._sine = torch.from_numpy(SINE_CODES).to(device)

    @property
    def rows(self) -> int:
        """How many callers there are."""
        return len(self._slots)

    @torch.no_grad()  # pyright: ignore[reportUntypedFunctionDecorator]
    def join(self, slot: int, prefill: PrefillState, sampling: Sampling) -> None:
        """Put a caller into ``slot``. Draws the tokens needed before the first frame is heard, so that the
        answer to frame k is ready with frame k, one frame earlier than in the reference."""
        row = len(self._slots)
        prefilled = prefill.key_values.tensor
        self._key_values.tensor[:, :, row : row + 1, :, : prefilled.shape[4]].copy_(prefilled)
        self._positions[row] = prefill.positions
        seed = torch.seed() if sampling.seed is None else sampling.seed
        generator = torch.Generator(self._device).manual_seed(seed)
        self._set_sampling(row, sampling)
        self._draw_noise(row, generator)
        one = slice(row, row + 1)
        text = sample(
            prefill.text_logits,
            self._text_noise[one],
            self._text_sampling.rows(row, row + 1),
        )
        first = self._depth.forward(
            text, prefill.hidden, self._audio_noise[one], self._audio_sampling.rows(row, row + 1), codebooks=1
        )
        self._read[row] = torch.cat([text, first[0], self._silence[1:], self._sine])
        self.codec.start_row(row)
        # Last, so that a caller who could not join leaves nothing behind.
        self._slots.append(slot)
        self._lengths.append(prefill.positions)
        self._generators.append(generator)

    @torch.no_grad()  # pyright: ignore[reportUntypedFunctionDecorator]
    def leave(self, slot: int) -> None:
        row, last = self._slots.index(slot), len(self._slots) - 1
        if row != last:
            self.codec.copy_row(last, row)
            filled = min(self._lengths[last], self._key_values.window)
            places = self._key_values.tensor
            places[:, :, row, :, :filled] = places[:, :, last, :, :filled]
            self._positions[row] = self._positions[last]
            self._read[row] = self._read[last]
            self._text_sampling.copy_row(last, row)
            self._audio_sampling.copy_row(last, row)
        for values in (self._slots, self._lengths, self._generators):
            values[row] = values[last]  # type: ignore[call-overload]
            values.pop()

    def change_sampling(self, slot: int, sampling: Sampling) -> None:
        self._set_sampling(self._slots.index(slot), sampling)

    @torch.no_grad()  # pyright: ignore[reportUntypedFunctionDecorator]
    def step(self, heard: Mapping[int, Frame], forced_text: Mapping[int, int]) -> Mapping[int, StepOutput]:
        """Hear a frame in each slot of ``heard`` and answer it. ``forced_text``: tokens to say next."""
        n = len(self._slots)
        sound = np.zeros((n, FRAME_SAMPLES), dtype=np.float32)
        active_rows = [row for row, slot in enumerate(self._slots) if slot in heard]
        for row in active_rows:
            sound[row] = heard[self._slots[row]]
            self._draw_noise(row, self._generators[row])
        active = torch.zeros(n, dtype=torch.bool, device=self._device)
        active[active_rows] = True
        self.codec.begin(n)
        caller = self.codec.encode(torch.from_numpy(sound).to(self._device))

        read = self._read[:n].clone()
        read[:, 1 + CODEBOOKS] = caller[:, 0]
        filled = min(self._key_values.window, max(self._lengths) + 1)
        inputs = self.temporal.embed(read[:, :, None])
        hidden = self.temporal.forward(inputs, self._key_values.rows(0, n), self._positions[:n], filled)[:, 0]
        text = sample(self.temporal.text_logits(hidden), self._text_noise[:n], self._text_sampling.rows(0, n))
        for slot, token in forced_text.items():
            text[self._slots.index(slot)] = token
        codes = self._depth.forward(text, hidden, self._audio_noise[:n], self._audio_sampling.rows(0, n))

        spoken = torch.cat([read[:, 1:2], codes[:, 1:]], dim=1)
        frames: Samples = to_numpy(self.codec.decode(spoken).float())
        self.codec.keep(active)
        following = torch.cat([text[:, None], codes, torch.zeros_like(caller[:, :1]), caller[:, 1:]], dim=1)
        self._read[:n] = torch.where(active[:, None], following, self._read[:n])
        self._positions[:n] += active
        tokens = to_numpy(torch.cat([read[:, :1], spoken], dim=1).int())
        for row in active_rows:
            self._lengths[row] += 1
        return {self._slots[row]: StepOutput(tokens[row], frames[row]) for row in active_rows}

    def _set_sampling(self, row: int, sampling: Sampling) -> None:
        for batch, temperature, top_k in (
            (self._text_sampling, sampling.text_temperature, sampling.text_top_k),
            (self._audio_sampling, sampling.audio_temperature, sampling.audio_top_k),
        ):
            batch.temperature[row] = temperature
            batch.top_k[row] = min(top_k, batch.largest_k)
            batch.greedy[row] = sampling.greedy

    def _draw_noise(self, row: int, generator: torch.Generator) -> None:
        self._text_noise[row].exponential_(generator=generator)
        self._audio_noise[row].exponential_(generator=generator)
