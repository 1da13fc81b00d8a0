"""What goes into a tick and comes out of it: one copy each way, always through the same memory.

A row in holds a frame of sound, whether it is heard at all, and a text token to force; a row out holds a
frame, the tokens that go with it, and the token of what the caller said."""

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from personaplex_ui.audio.frames import FRAME_SAMPLES, Frame
from personaplex_ui.models.personaplex.runtime.prompt import CODEBOOKS

SOUND_BYTES = 4 * FRAME_SAMPLES
FLAG_BYTES = 2 * 8
TOKENS = 1 + CODEBOOKS
TOKEN_BYTES = 40
"""Ten int32: the answer's tokens, and the one of the caller's words. Each row begins at a multiple of
eight."""

NOT_FORCED = -1


@dataclass(frozen=True, slots=True)
class StepOutput:
    """The answer to one frame: ``tokens`` int32 ``[9]`` (text, then the assistant's 8 codebooks), and its
    sound. ``heard``: the text token of what the caller said, where somebody reads that, else 0."""

    tokens: npt.NDArray[np.int32]
    frame: Frame
    heard: int = 0


class TickInput:
    """For ``rows`` rows. On a CPU the model reads what ``put`` writes; a GPU reads its own copy."""

    def __init__(self, rows: int, device: torch.device) -> None:
        self._host = _host_bytes(rows, SOUND_BYTES + FLAG_BYTES, device)
        self._device = _on_device(self._host, device)
        self._sound = _as_numpy(self._host[:, :SOUND_BYTES].view(torch.float32))
        self._flags = _as_numpy(self._host[:, SOUND_BYTES:].view(torch.int64))
        self.clear()

    def clear(self) -> None:
        """Nobody is heard."""
        self._flags[:, 0] = 0
        self._flags[:, 1] = NOT_FORCED

    def put(self, row: int, frame: Frame, forced_text: int | None) -> None:
        self._sound[row] = frame
        self._flags[row] = 1, NOT_FORCED if forced_text is None else forced_text

    def send(self, rows: int) -> None:
        """The one copy to the device. The host must not write again before the tick's output is there."""
        if self._device is not self._host:
            self._device[:rows].copy_(self._host[:rows], non_blocking=True)

    # What a tick reads ------------------------------------------------------------------------------

    def sound(self, rows: int) -> Tensor:
        """Float32 ``[rows, 1920]``."""
        return self._device[:rows, :SOUND_BYTES].view(torch.float32)

    def active(self, rows: int) -> Tensor:
        """Bool ``[rows]``: whose frame is there."""
        return self._device[:rows, SOUND_BYTES:].view(torch.int64)[:, 0] > 0

    def forced_text(self, rows: int) -> Tensor:
        """Int64 ``[rows]``: the text token to say, or ``NOT_FORCED``."""
        return self._device[:rows, SOUND_BYTES:].view(torch.int64)[:, 1]


class TickOutput:
    """For ``rows`` rows."""

    def __init__(self, rows: int, device: torch.device) -> None:
        self._host = _host_bytes(rows, SOUND_BYTES + TOKEN_BYTES, device)
        self._device = _on_device(self._host, device)
        self._sound = _as_numpy(self._host[:, :SOUND_BYTES].view(torch.float32))
        self._tokens = _as_numpy(self._host[:, SOUND_BYTES:].view(torch.int32))

    def write(self, sound: Tensor, tokens: Tensor, heard: Tensor | None) -> None:
        """Within a tick: frames ``[n, 1920]``, tokens ``[n, 9]`` and those of the callers' words ``[n]``."""
        rows = len(sound)
        self._device[:rows, :SOUND_BYTES].view(torch.float32).copy_(sound)
        numbers = self._device[:rows, SOUND_BYTES:].view(torch.int32)
        numbers[:, :TOKENS].copy_(tokens)
        if heard is not None:
            numbers[:, TOKENS].copy_(heard)

    def fetch(self, rows: int) -> None:
        """The one copy from the device; waits for the tick."""
        if self._device is not self._host:
            self._host[:rows].copy_(self._device[:rows])

    def row(self, row: int) -> StepOutput:
        heard = int(self._tokens[row, TOKENS])
        return StepOutput(self._tokens[row, :TOKENS].copy(), self._sound[row].copy(), heard)


def _host_bytes(rows: int, size: int, device: torch.device) -> Tensor:
    # Page-locked, so that the copy need not wait for a second one.
    return torch.zeros(rows, size, dtype=torch.uint8, device="cpu", pin_memory=device.type == "cuda")


def _on_device(host: Tensor, device: torch.device) -> Tensor:
    return host if device.type == "cpu" else torch.zeros(host.shape, dtype=torch.uint8, device=device)


def _as_numpy(tensor: Tensor) -> npt.NDArray[Any]:
    """The same memory."""
    return cast(Any, tensor).numpy()
