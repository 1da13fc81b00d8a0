"""Where positions are in a ring of keys and values, and which of its places a position sees.

A ring has ``window`` places. The first ``pinned`` positions of a row keep theirs for ever; the others go
round in the rest. Up to the window's end the two are alike: position p is at place p.
"""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Turns:
    """Cosines and sines of the angles by which n times t positions are turned, float32
    ``[n, t, head_dim / 2]``."""

    cos: Tensor
    sin: Tensor


def frequencies(head_dim: int, max_period: float, device: torch.device) -> Tensor:
    """Float32 ``[head_dim / 2]``, as in moshi's ``apply_rope`` (``moshi/modules/rope.py``)."""
    numbers = torch.arange(head_dim // 2, device=device, dtype=torch.float32)
    return torch.exp(numbers * (-math.log(max_period) * 2 / head_dim))


def turns_by(frequencies: Tensor, positions: Tensor) -> Turns:
    """For ``positions`` ``[n, t]``, with ``frequencies`` that were made once."""
    angles = frequencies * positions[:, :, None]
    return Turns(torch.cos(angles), torch.sin(angles))


def turns(positions: Tensor, head_dim: int, max_period: float) -> Turns:
    """For ``positions`` ``[n, t]``."""
    return turns_by(frequencies(head_dim, max_period, positions.device), positions)


@dataclass(frozen=True, slots=True, eq=False)
class RingLayer:
    """One layer's ``keys`` and ``values`` ``[n, heads, window, head_dim]``, of the model's dtype or int8. In
    int8 each head of each place has its scales, float32 ``[n, heads, window]``."""

    keys: Tensor
    values: Tensor
    key_scales: Tensor | None = None
    value_scales: Tensor | None = None

    @property
    def window(self) -> int:
        return self.keys.shape[2]

    def row_strides(self) -> tuple[int, int]:
        """How many numbers, and scales, are from one row to the next. Within a row they are in one run, which
        the kernels rely on."""
        keys, scales = self.keys, self.key_scales
        assert keys[0].is_contiguous()
        assert self.values.stride() == keys.stride()
        if scales is None or self.value_scales is None:
            return keys.stride(0), 0
        assert scales[0].is_contiguous()
        assert self.value_scales.stride() == scales.stride()
        return keys.stride(0), scales.stride(0)


@dataclass(slots=True, eq=False)
class RingPositions:
    """Where the rows of one pass stand: made anew for each pass, used by all its layers.

    ``positions`` int64 ``[n, t]``: consecutive, all of them written before attention looks. ``pinned`` int64
    ``[n]``: how many first positions keep their places, fewer than the window; 0 for a plain ring.
    ``filled``: no row sees a place beyond it. Only a CPU looks at it.
    """

    positions: Tensor
    pinned: Tensor
    filled: int
    _visible: Tensor | None = field(default=None, init=False, repr=False)

    def visible(self, window: int) -> Tensor:
        """Which of the first ``filled`` places each position sees, bool ``[n, t, filled]``."""
        if self._visible is None:
            self._visible = _visible(self.positions, self.pinned, window, min(self.filled, window))
        return self._visible


def place_of(positions: Tensor, pinned: Tensor, window: int) -> Tensor:
    """Where in the ring ``positions`` are. ``pinned`` is broadcast to them and less than ``window``."""
    around = pinned + (positions - pinned) % (window - pinned)
    return torch.where(positions < window, positions, around)


def _visible(positions: Tensor, pinned: Tensor, window: int, filled: int) -> Tensor:
    places = torch.arange(filled, device=positions.device)
    if filled < window:  # no row has wrapped
        return places <= positions[:, :, None]
    last, first = positions[:, -1:], pinned[:, None]
    # The newest position at each place. Places after a row's last one are empty.
    newest = torch.where(places < first, places, last - (last - places) % (window - first))
    written = places <= last
    return written[:, None] & (newest[:, None] <= positions[:, :, None])
