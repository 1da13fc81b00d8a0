"""What Mimi remembers between the frames of a call, for a batch of calls, in tensors that never move.

Row r of every tensor belongs to row r of the batch. What the convolutions remember of a row lies side by side
in one row of the arena, so one operator backs it up and one brings it back. The transformers remember a ring
of keys and values and a position. An inactive row also writes into its ring, at its next positions: it will
write there again before it looks there, so nothing has to be brought back.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from personaplex_ui.models.personaplex.kernels.ring import RingLayer

ENCODER, DECODER = 0, 1
"""The two transformers, as columns of the positions."""


class Arena:
    """Plans a row of the arena: each convolution reserves its place once, while the loop is built."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, int]] = []

    def reserve(self, *shape: int) -> int:
        """The number of a new place for a matrix."""
        rows, columns = shape
        self.shapes.append((rows, columns))
        return len(self.shapes) - 1

    @property
    def sizes(self) -> list[int]:
        """How many floats each place takes."""
        return [rows * columns for rows, columns in self.shapes]


@dataclass(frozen=True, slots=True)
class RingShape:
    """A transformer's keys, and its values: ``[heads, window, head_dim]`` in each of its ``layers``."""

    layers: int
    heads: int
    window: int
    head_dim: int


@dataclass(frozen=True, slots=True, eq=False)
class RingRows:
    """A transformer's rings for the first n rows. ``start`` int64 ``[n, 1]``: the position of the next
    frame's first step; ``pinned`` int64 ``[n]``: zeros, since nothing keeps its place."""

    layers: list[RingLayer]
    start: Tensor
    pinned: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class StateRows:
    """The state of the first n rows, as views. ``convolutions``: ``[n, *shape]``, by number in the
    ``Arena``."""

    convolutions: list[Tensor]
    encoder: RingRows
    decoder: RingRows


class StreamState:
    """The state of ``rows`` calls. A new row has heard and said nothing."""

    def __init__(
        self,
        arena: Arena,
        encoder: RingShape,
        decoder: RingShape,
        rows: int,
        steps: int,
        device: torch.device,
    ) -> None:
        """``steps``: how many positions of the transformers are a frame."""
        self._plan = arena
        self._steps = steps
        self.arena = torch.zeros(rows, sum(arena.sizes), device=device)
        self._before = torch.zeros_like(self.arena)
        self.positions = torch.zeros(rows, 2, dtype=torch.long, device=device)
        self.rings = tuple(
            torch.zeros(ring.layers, 2, rows, ring.heads, ring.window, ring.head_dim, device=device)
            for ring in (encoder, decoder)
        )
        self._pinned = torch.zeros(rows, dtype=torch.long, device=device)
        self._views: dict[int, StateRows] = {}

    def first(self, n: int) -> StateRows:
        """The first ``n`` rows. The views are made when they are first asked for and then kept: views made
        earlier would not follow tensors that are moved to a lent GPU."""
        if n not in self._views:
            parts = torch.split(self.arena[:n], self._plan.sizes, dim=1)
            convolutions = [
                part.unflatten(1, shape) for part, shape in zip(parts, self._plan.shapes, strict=True)
            ]
            self._views[n] = StateRows(convolutions, self._ring_rows(ENCODER, n), self._ring_rows(DECODER, n))
        return self._views[n]

    def _ring_rows(self, which: int, n: int) -> RingRows:
        layers = [RingLayer(keys[:n], values[:n]) for keys, values in self.rings[which]]
        return RingRows(layers, self.positions[:n, which : which + 1], self._pinned[:n])

    def begin(self, n: int) -> None:
        """Remember how the first ``n`` rows begin a frame."""
        self._before[:n].copy_(self.arena[:n])

    def keep(self, active: Tensor) -> None:
        """End the frame that ``begin`` began, for rows with True in ``active`` ``[n]``; the others are again
        as they were, but for what their rings hold beyond their positions."""
        now, active = self.arena[: len(active)], active[:, None]
        torch.where(active, now, self._before[: len(now)], out=now)
        self.positions[: len(now)].add_(active, alpha=self._steps)

    def advance(self, which: int) -> None:
        """End a frame that all rows have only heard or only said: ``ENCODER`` or ``DECODER`` goes on."""
        self.positions[:, which].add_(self._steps)

    def copy_row(self, target: int, source: "StreamState", row: int, filled: int | None = None) -> None:
        """Make row ``target`` the same as ``row`` of ``source``, whose rings are filled up to ``filled``."""
        self.arena[target].copy_(source.arena[row])
        self.positions[target].copy_(source.positions[row])
        for mine, other in zip(self.rings, source.rings, strict=True):
            mine[:, :, target, :, :filled].copy_(other[:, :, row, :, :filled])

    def tensors(self) -> list[Tensor]:
        """All that changes; all stay where they are."""
        return [self.arena, self._before, self.positions, *self.rings]
