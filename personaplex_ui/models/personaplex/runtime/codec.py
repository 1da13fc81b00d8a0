"""Mimi for a batch of callers: sound to codes and back, frame by frame, in tensors that never move.

Row r of the codec is row r of the stepper, and the first n rows are those with a caller. A frame is
``encode``, ``decode`` and ``keep``: rows that are not active end it as they began it. None of the three waits
for the device or makes a tensor from Python's numbers, so a CUDA graph for each n can hold them.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from personaplex_ui.models.personaplex.runtime.mimi.loop import MimiLoop
from personaplex_ui.models.personaplex.runtime.mimi.state import DECODER, ENCODER, StreamState
from personaplex_ui.models.personaplex.runtime.prompt import CODEBOOKS, SILENCE_CODES


class Codec:
    def __init__(self, mimi: MimiLoop, rows: int) -> None:
        self._mimi = mimi
        mimi.packed.pack(rows)
        self.device = mimi.device
        self._live = mimi.new_state(rows)
        self._initial: StreamState | None = None

    @property
    def packed_bytes(self) -> int:
        """What packed copies of Mimi's weights take."""
        return self._mimi.packed.packed_bytes

    def start_row(self, row: int) -> None:
        """Put ``row`` in the state of a new call."""
        # Like the reference, it first decodes the prompt's last silence, so that even the sound is the same.
        if self._initial is None:
            self._initial = self._mimi.new_state(1)
            self._mimi.decode(torch.from_numpy(SILENCE_CODES).to(self.device)[None], self._initial)
            self._initial.keep_half(DECODER)
        self._live.copy_row(row, self._initial, 0, filled=self._mimi.steps)

    def copy_row(self, source: int, target: int) -> None:
        """Make row ``target`` the same as ``source``."""
        self._live.copy_row(target, self._live, source)

    def encode(self, sound: Tensor) -> Tensor:
        """Frames ``[n, 1920]`` to codes int64 ``[n, 8]``, or more where somebody besides PersonaPlex reads
        them: see ``MimiLoop``."""
        return self._mimi.encode(sound, self._live)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes ``[n, 8]`` to frames ``[n, 1920]``."""
        return self._mimi.decode(codes, self._live)

    def keep(self, active: Tensor) -> None:
        """End a frame: rows with True in ``active`` ``[n]`` have heard and said it, and for the others
        nothing has happened. Until then, ``encode`` and ``decode`` can be called anew."""
        self._live.keep(active)

    def encode_recording(self, frames: Tensor) -> Iterator[Tensor]:
        """A recorded voice ``[k, 1920]`` as codes ``[8]``, frame by frame. The live rows are unaffected."""
        return (codes[:CODEBOOKS] for codes in self.encode_alone(frames))

    def encode_alone(self, frames: Tensor) -> Iterator[Tensor]:
        """As ``encode_recording``, with all codes that ``encode`` gives."""
        alone = self._mimi.new_state(1)
        for frame in frames:
            codes = self._mimi.encode(frame[None], alone)[0]
            alone.keep_half(ENCODER)
            yield codes

    def state_tensors(self) -> list[Tensor]:
        """What has to be restored to undo frames. It stays where it is, as all that changes."""
        return self._live.tensors()
