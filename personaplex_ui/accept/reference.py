"""The reference implementation, for comparison: one caller, moshi's own ``LMGen`` stepped one frame at a
time.

NVIDIA's fork of moshi cannot be installed beside this app; its work for a frame and a prompt is done here
with the package it was forked from. It predicts all 16 codebooks, and overwrites the known ones: in a prompt
all of them, in a call the caller's. Source: its ``lm.py`` (``step_system_prompts``, ``step``). Its server
also runs a second Mimi beside the first; that is left out here. With 8 depth steps, as this app loads them,
it is what moshi does for Moshi: the caller's codebooks are not predicted at all."""

from contextlib import ExitStack
from typing import Any

import torch
from moshi.models.compression import MimiModel
from moshi.models.lm import LMGen, LMModel
from torch import Tensor

from personaplex_ui.audio.frames import Samples
from personaplex_ui.models.personaplex.runtime.prompt import CODEBOOKS, DELAYS, STREAMS, Tokens


class Reference:
    """``lm`` with 16 or 8 depth steps, ``mimi`` of its own: both stream until ``close``."""

    def __init__(self, lm: LMModel, mimi: MimiModel, greedy: bool = False) -> None:
        self._generator: Any = LMGen(lm, use_sampling=not greedy)
        self._mimi = mimi
        self._device = lm.device
        self._streaming = ExitStack()
        self._streaming.enter_context(self._generator.streaming(1))
        self._streaming.enter_context(mimi.streaming(1))
        delays = torch.from_numpy(DELAYS).to(lm.device)
        streams = torch.arange(STREAMS, device=lm.device)
        self._all = streams[delays == 0], streams[delays == 1]
        self._callers = tuple(some[some > CODEBOOKS] for some in self._all)
        self._given = lm.num_codebooks - 1 - lm.dep_q
        """How many of the last streams are given to a step instead of being predicted."""
        self._position = 0

    def close(self) -> None:
        """``lm`` no longer streams, so others may use it."""
        self._streaming.close()

    def begin(self) -> None:
        """A new call."""
        self._generator.reset_streaming()
        self._mimi.reset_streaming()
        self._position = 0

    def set_greedy(self, greedy: bool) -> None:
        """Has no effect on a GPU once the CUDA graphs are captured."""
        self._generator.use_sampling = not greedy

    def step_prompt(self, frame: Tensor) -> None:
        """One frame ``[17]`` of the prompt."""
        self._step(frame, *self._all)

    def step(self, sound: Samples) -> tuple[Tensor, Samples]:
        """Hear one frame; the tokens ``[9]`` and the sound of the answer to it."""
        heard = torch.from_numpy(sound).to(self._device)
        codes = self._mimi.encode(heard[None, None])
        tokens = self.step_codes(codes[0, :, 0])
        said: Any = self._mimi.decode(tokens[:, 1 : 1 + CODEBOOKS])[0, 0]
        return tokens[0, : 1 + CODEBOOKS, 0], said.float().cpu().numpy()

    def step_codes(self, codes: Tensor) -> Tensor:
        """As ``step`` without Mimi: the caller's codes ``[8]`` to tokens ``[1, 17, 1]``."""
        frame = torch.zeros(STREAMS, dtype=torch.long, device=self._device)
        frame[1 + CODEBOOKS :] = codes
        return self._step(frame, *self._callers)

    def _step(self, frame: Tensor, early: Tensor, late: Tensor) -> Any:
        cache: Tensor = self._generator._streaming_state.cache
        places = cache.shape[2]
        cache[0, early, self._position % places] = frame[early]
        tokens = self._generator.step(frame[STREAMS - self._given :][None, :, None])
        # The step has just written its own guess of these.
        cache[0, late, (self._position + 1) % places] = frame[late]
        self._position += 1
        return tokens


def prompt_frames_of(tokens: Tokens, device: torch.device) -> list[Tensor]:
    """``tokens`` ``[17, n]`` as what ``step_prompt`` takes."""
    return list(torch.from_numpy(tokens).to(device).T.contiguous())
