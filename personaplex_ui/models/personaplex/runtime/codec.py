"""Mimi for a batch of callers: sound to codes and back, frame by frame; rows can be added and removed.

Row r of the codec is row r of the stepper. The states are small (some MB per caller), so they are rebuilt
when a row is added or removed, and a batch never contains an empty row.
"""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

import torch
from moshi.models.compression import MimiModel
from moshi.modules.transformer import RingKVCache
from moshi.utils.compile import no_compile, no_cuda_graph
from torch import Tensor

from personaplex_ui.models.personaplex.runtime.prompt import CODEBOOKS, SILENCE_CODES

State = dict[str, Any]
"""moshi's streaming state of all modules, by name."""


class Codec:
    def __init__(self, mimi: MimiModel) -> None:
        self._mimi = mimi
        self.device: torch.device = next(mimi.parameters()).device
        self.rows = 0
        mimi.set_num_codebooks(CODEBOOKS)
        self._initial: State | None = None

    def add_row(self) -> None:
        """Add a last row in the state of a new call."""
        self._rearrange([*range(self.rows), None])

    def remove_row(self, row: int) -> None:
        """Remove ``row``; the last row takes its place."""
        kept: list[int | None] = list(range(self.rows - 1))
        if row < self.rows - 1:
            kept[row] = self.rows - 1
        self._rearrange(kept)

    def encode(self, sound: Tensor) -> Tensor:
        """Frames ``[rows, 1920]`` to codes ``[rows, 8]``."""
        with _eager():
            return self._mimi.encode(sound[:, None])[:, :, 0]

    def decode(self, codes: Tensor) -> Tensor:
        """Codes ``[rows, 8]`` to frames ``[rows, 1920]``."""
        with _eager():
            return self._mimi.decode(codes[:, :, None])[:, 0]

    def set_active(self, active: Tensor) -> None:
        """From now on, only rows that are True in ``active`` ``[rows]`` change their state."""
        with _eager():
            self._mimi.set_exec_mask(active)

    def encode_recording(self, frames: Tensor) -> Iterator[Tensor]:
        """A recorded voice ``[n, 1920]`` as codes ``[8]``, frame by frame, without affecting the live
        rows."""
        alone = self._new_state(1)
        for frame in frames:
            live = self._mimi.get_streaming_state() if self.rows else None
            try:
                self._use(alone)
                codes = self.encode(frame[None])[0]
            finally:
                self._use(live)
            yield codes

    def _rearrange(self, sources: list[int | None]) -> None:
        old = list(_batched(self._mimi.get_streaming_state())) if self.rows else []
        state = self._new_state(len(sources)) if sources else None
        if state is not None:
            first = list(_batched(self._initial_state()))
            for number, (tensor, dim) in enumerate(_batched(state)):
                for row, source in enumerate(sources):
                    origin = (
                        first[number][0].select(dim, 0)
                        if source is None
                        else old[number][0].select(dim, source)
                    )
                    tensor.select(dim, row).copy_(origin)
        self._use(state)
        self.rows = len(sources)

    def _new_state(self, rows: int) -> State:
        current = self._mimi.get_streaming_state() if self._mimi.is_streaming else None
        self._use(None)
        try:
            self._mimi.streaming_forever(rows)
            return self._mimi.get_streaming_state()
        finally:
            self._use(current)

    def _initial_state(self) -> State:
        """The state of one row at the start of a call, for every persona. Like the reference, it first
        decodes the prompt's last silence, so that even the sound is the same."""
        if self._initial is None:
            live = self._mimi.get_streaming_state() if self.rows else None
            state = self._new_state(1)
            try:
                self._use(state)
                self.decode(torch.from_numpy(SILENCE_CODES).to(self.device)[None])
            finally:
                self._use(live)
            self._initial = state
        return self._initial

    def _use(self, state: State | None) -> None:
        if state is None:
            self._mimi._stop_streaming()  # pyright: ignore[reportPrivateUsage]
        else:
            self._mimi.set_streaming_state(state)


@contextmanager
def _eager() -> Generator[None]:
    """moshi would compile, which delays the first frame by half a minute, and capture CUDA graphs for one row
    layout: all would be captured again whenever a caller joins or leaves."""
    with no_compile(), no_cuda_graph():
        yield


def _batched(state: State) -> Iterator[tuple[Tensor, int]]:
    """All tensors of a state with a row dimension, and that dimension, always in the same order."""
    for module_state in state.values():
        for field in fields(module_state):
            value = getattr(module_state, field.name)
            if isinstance(value, Tensor):
                yield value, 0
            elif isinstance(value, RingKVCache):
                yield value.cache, 1
                yield value.end_offset, 0
        yield module_state.exec_mask, 0
