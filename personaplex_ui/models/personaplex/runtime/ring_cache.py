"""Keys and values of all layers for several rows: a ring of ``window`` places a row.

Position p of a row is at place p until the ring is full; then the first ``pinned`` positions keep their
places and the others take turns in the rest. Stored in the model's dtype, or as int8 with a scale a vector.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from personaplex_ui.models.personaplex.kernels.ring import RingLayer


@dataclass(frozen=True, slots=True)
class CacheShape:
    layers: int
    heads: int
    head_dim: int
    window: int


@dataclass(slots=True)
class RingCache:
    """``numbers`` ``[layers, 2, rows, heads, window, head_dim]``: keys, then values. ``scales`` float32
    ``[layers, 2, rows, heads, window]`` if the numbers are int8."""

    numbers: Tensor
    scales: Tensor | None

    @property
    def window(self) -> int:
        return self.numbers.shape[4]

    @property
    def nbytes(self) -> int:
        return self.numbers.nbytes + (self.scales.nbytes if self.scales is not None else 0)

    def layers(self, first: int, rows: int) -> list[RingLayer]:
        """The layers, of rows ``first`` to ``first + rows - 1``: views."""
        end = first + rows
        found: list[RingLayer] = []
        for number in range(len(self.numbers)):
            keys, values = self.numbers[number][:, first:end]
            scales = self.scales[number][:, first:end] if self.scales is not None else (None, None)
            found.append(RingLayer(keys, values, scales[0], scales[1]))
        return found

    def copy_row(self, row: int, source: "RingCache", source_row: int, places: int) -> None:
        """Copy the first ``places`` places of a row of ``source``, which may be this cache."""
        self.numbers[:, :, row, :, :places] = source.numbers[:, :, source_row, :, :places]
        if self.scales is not None and source.scales is not None:
            self.scales[:, :, row, :, :places] = source.scales[:, :, source_row, :, :places]

    def excerpt(self, row: int, places: int) -> "RingCache":
        """A copy of the first ``places`` places of a row, as a cache of one row."""
        numbers = self.numbers[:, :, row : row + 1, :, :places].clone()
        scales = self.scales[:, :, row : row + 1, :, :places].clone() if self.scales is not None else None
        return RingCache(numbers, scales)


def new_ring_cache(
    shape: CacheShape, rows: int, device: torch.device, dtype: torch.dtype, int8: bool = False
) -> RingCache:
    """An empty cache; ``int8`` keeps its numbers in int8 whatever the model's ``dtype`` is."""
    size = (shape.layers, 2, rows, shape.heads, shape.window, shape.head_dim)
    numbers = torch.zeros(size, device=device, dtype=torch.int8 if int8 else dtype)
    return RingCache(numbers, torch.zeros(size[:-1], device=device) if int8 else None)
