"""What Mimi remembers between the frames of a call, for a batch of calls, in tensors that never move.

Row r of every tensor belongs to row r of the batch. What the convolutions remember of a row lies side by side
in one row of the arena. A frame reads the arena and writes another one, of which one ``where`` takes the
active rows. The transformers remember a ring of keys and values and a position. An inactive row also writes
into its ring, at its next positions: it will write there again before it looks there.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from personaplex_ui.models.personaplex.kernels.ring import RingLayer

ENCODER, DECODER = 0, 1
"""The two halves of Mimi, as columns of the positions."""


class Arena:
    """Plans a row of the arena: each convolution reserves its place once, while the loop is built."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, int]] = []

    def reserve(self, steps: int, channels: int) -> int:
        """The number of a new place."""
        self.shapes.append((steps, channels))
        return len(self.shapes) - 1

    @property
    def sizes(self) -> list[int]:
        """How many floats each place takes."""
        return [steps * channels for steps, channels in self.shapes]


@dataclass(frozen=True, slots=True)
class RingShape:
    """A transformer's keys, and its values: ``[heads, window, head_dim]`` in each of its ``layers``."""

    layers: int
    heads: int
    window: int
    head_dim: int


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """What the encoder or the decoder remembers of the first n rows, as views.

    ``before`` and ``after``: by number in the ``Arena``, ``[n, steps, channels]``: what a convolution
    remembers when a frame begins, and where it writes what it remembers when the frame ends. ``rings``: the
    transformer's layers. ``start`` int64 ``[n, 1]``: the position of the frame's first step. ``pinned`` int64
    ``[n]``: zeros, since nothing keeps its place in a ring.
    """

    before: list[Tensor]
    after: list[Tensor]
    rings: list[RingLayer]
    start: Tensor
    pinned: Tensor


class StreamState:
    """The state of ``rows`` calls. A new row has heard and said nothing."""

    def __init__(
        self, arena: Arena, rings: tuple[RingShape, RingShape], rows: int, steps: int, device: torch.device
    ) -> None:
        """``rings``: the encoder's and the decoder's; ``steps``: how many of their positions are a frame."""
        self._plan = arena
        self._steps = steps
        self._arena = torch.zeros(rows, sum(arena.sizes), device=device)
        self._next = torch.zeros_like(self._arena)
        self._positions = torch.zeros(rows, 2, dtype=torch.long, device=device)
        self._pinned = torch.zeros(rows, dtype=torch.long, device=device)
        self._rings = tuple(
            torch.zeros(ring.layers, 2, rows, ring.heads, ring.window, ring.head_dim, device=device)
            for ring in rings
        )
        self._views: dict[tuple[int, int], Memory] = {}

    def memory(self, half: int, n: int) -> Memory:
        """What the ``ENCODER`` or the ``DECODER`` remembers of the first ``n`` rows. The views are made when
        they are first asked for, then kept: made earlier, they would not follow tensors that are moved to a
        lent GPU."""
        if (half, n) not in self._views:
            rings = [RingLayer(keys[:n], values[:n]) for keys, values in self._rings[half]]
            start = self._positions[:n, half : half + 1]
            before, after = self._places(self._arena[:n]), self._places(self._next[:n])
            self._views[half, n] = Memory(before, after, rings, start, self._pinned[:n])
        return self._views[half, n]

    def _places(self, arena: Tensor) -> list[Tensor]:
        parts = torch.split(arena, self._plan.sizes, dim=1)
        return [part.unflatten(1, shape) for part, shape in zip(parts, self._plan.shapes, strict=True)]

    def keep(self, active: Tensor) -> None:
        """End a frame, for rows with True in ``active`` ``[n]``. The others are as they were before it, but
        for what their rings hold from their positions on."""
        n, active = len(active), active[:, None]
        torch.where(active, self._next[:n], self._arena[:n], out=self._arena[:n])
        self._positions[:n].add_(active, alpha=self._steps)

    def keep_half(self, half: int) -> None:
        """End a frame that all rows have only heard (``ENCODER``) or only said (``DECODER``)."""
        self._arena.copy_(self._next)
        self._positions[:, half].add_(self._steps)

    def copy_row(self, target: int, source: "StreamState", row: int, filled: int | None = None) -> None:
        """Make row ``target`` the same as ``row`` of ``source``, whose rings are filled up to ``filled``."""
        self._arena[target].copy_(source._arena[row])
        self._positions[target].copy_(source._positions[row])
        for mine, other in zip(self._rings, source._rings, strict=True):
            mine[:, :, target, :, :filled].copy_(other[:, :, row, :, :filled])

    def tensors(self) -> list[Tensor]:
        """What has to be restored to undo frames. What these have written into the rings is not seen then."""
        return [self._arena, self._positions]
