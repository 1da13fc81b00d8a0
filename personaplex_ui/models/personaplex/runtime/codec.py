"""Mimi for a batch of callers: sound to codes and back, frame by frame, in tensors that never move.

Row r of the codec is row r of the stepper, and the first n rows are those with a caller. A frame is
``begin``, ``encode``, ``decode`` and ``keep``: rows that are not active end it as they began it. None of the
four waits for the device or makes a tensor from Python's numbers, so a CUDA graph for each n can hold them.
"""

from collections.abc import Iterator

import torch
from moshi.models.compression import MimiModel
from torch import Tensor

from personaplex_ui.models.personaplex.runtime.mimi.loop import Loop
from personaplex_ui.models.personaplex.runtime.mimi.state import DECODER, ENCODER, StreamState
from personaplex_ui.models.personaplex.runtime.prompt import CODEBOOKS, SILENCE_CODES


class Codec:
    def __init__(self, mimi: MimiModel, rows: int) -> None:
        """Raises CheckpointUnusable if ``mimi`` is of a kind that is not supported."""
        self._loop = Loop(mimi, CODEBOOKS)
        self.device: torch.device = self._loop.device
        self._live = self._loop.new_state(rows)
        self._initial: StreamState | None = None

    def start_row(self, row: int) -> None:
        """Put ``row`` in the state of a new call."""
        # Like the reference, it first decodes the prompt's last silence, so that even the sound is the same.
        if self._initial is None:
            self._initial = self._loop.new_state(1)
            self._loop.decode(torch.from_numpy(SILENCE_CODES).to(self.device)[None], self._initial)
            self._initial.advance(DECODER)
        self._live.copy_row(row, self._initial, 0, filled=self._loop.steps)

    def copy_row(self, source: int, target: int) -> None:
        """Make row ``target`` the same as ``source``."""
        self._live.copy_row(target, self._live, source)

    def begin(self, n: int) -> None:
        """Begin a frame of the first ``n`` rows."""
        self._live.begin(n)

    def encode(self, sound: Tensor) -> Tensor:
        """Frames ``[n, 1920]`` to codes int64 ``[n, 8]``."""
        return self._loop.encode(sound, self._live)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes ``[n, 8]`` to frames ``[n, 1920]``."""
        return self._loop.decode(codes, self._live)

    def keep(self, active: Tensor) -> None:
        """End the frame that ``begin`` began: only rows with True in ``active`` ``[n]`` have heard and said
        it. Without this call, the transformers would write the next frame over this one."""
        self._live.keep(active)

    def encode_recording(self, frames: Tensor) -> Iterator[Tensor]:
        """A recorded voice ``[k, 1920]`` as codes ``[8]``, frame by frame. The live rows are unaffected."""
        alone = self._loop.new_state(1)
        for frame in frames:
            codes = self._loop.encode(frame[None], alone)[0]
            alone.advance(ENCODER)
            yield codes

    def state_tensors(self) -> list[Tensor]:
        """All tensors of the live rows that change; they stay where they are."""
        return self._live.tensors()
