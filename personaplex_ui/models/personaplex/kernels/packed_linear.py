"""Products of a few rows with large weights on a CPU, where the weights are not packed anew each time.

From 4 rows on, MKL first copies the weights into the order of its kernel, at each product, which takes as
long as the product. oneDNN's kernel takes weights that were packed once. With 1 to 3 rows MKL packs nothing
and is faster.
"""

from collections.abc import Iterable
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import Linear, Module
from torch.nn.functional import linear

from personaplex_ui.models.personaplex.kernels.row_linear import row_linear

LEAST_ROWS = 4
MOST_ROWS = 64
"""Measured for weights of 2**19 to 2**23 numbers, of what MKL takes: 65 to 90 % at 4 and 8 rows, 75 to 100 %
at 16 to 64, as much or more from 128 rows on, and 1.3 times as much at 1 to 3."""

LEAST_NUMBERS = 2**19
"""Of a weight. Smaller ones gain nothing."""

MOST_BYTES = 4 * 2**30
"""Of all weights together. A larger model reads its own too slowly for calls on a CPU anyway (25 GB/s), and
twice its size might not fit the memory."""


class PackedWeights:
    """Large weights of a model, and packed copies of them where a batch may have 4 callers. Then these
    take as much memory once more. The weights themselves are shared and stay as they are; they must not
    change any more.

    Only float32 on a CPU is ever packed. Everything else goes the way it would have gone without this.
    """

    def __init__(self, weights: Iterable[Tensor] = ()) -> None:
        self._weights = list(weights)
        self._copies: dict[int, Tensor] = {}
        """By ``id`` of the weight, which lives as long as this."""

    @classmethod
    def of(cls, model: Module) -> "PackedWeights":
        """The weights of all ``nn.Linear`` layers in ``model``."""
        return cls(module.weight for module in model.modules() if isinstance(module, Linear))

    def add(self, weight: Tensor) -> Tensor:
        """Let ``weight``, ``[out, in]``, be one of those that ``pack`` packs. Returns it."""
        self._weights.append(weight)
        return weight

    def pack(self, rows: int) -> None:
        """Make ready for batches of at most ``rows`` callers: pack the weights, or drop their copies. Call it
        when the weights are where they will stay."""
        wanted = {id(weight): weight for weight in self._weights if _is_worth_it(weight)}
        size = sum(weight.nbytes for weight in wanted.values())
        if rows < LEAST_ROWS or size > MOST_BYTES or not (wanted and packing_works()):
            wanted = {}
        kept = {key: copy for key, copy in self._copies.items() if key in wanted}
        self._copies = {
            key: kept[key] if key in kept else pack_weight(weight) for key, weight in wanted.items()
        }

    @property
    def packed_bytes(self) -> int:
        """What the copies take."""
        return sum(copy.numel() * copy.element_size() for copy in self._copies.values())

    def linear(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """torch's ``linear``: ``[..., in]`` -> ``[..., out]``."""
        copy = self._copy_for(x, weight)
        return linear(x, weight, bias) if copy is None else packed_product(x, copy, bias)

    def row_linear(self, x: Tensor, weight: Tensor) -> Tensor:
        """See ``kernels.row_linear``."""
        copy = self._copy_for(x, weight)
        return row_linear(x, weight) if copy is None else packed_product(x, copy, None)

    def layer(self, layer: Any, x: Tensor) -> Tensor:
        """``layer(x)``, for any module with a ``weight`` that does what ``nn.Linear`` does."""
        copy = self._copy_for(x, layer.weight)
        return layer(x) if copy is None else packed_product(x, copy, layer.bias)

    def _copy_for(self, x: Tensor, weight: Tensor) -> Tensor | None:
        if not self._copies or not LEAST_ROWS <= x.numel() // x.shape[-1] <= MOST_ROWS:
            return None
        return self._copies.get(id(weight))


@cache
def packing_works() -> bool:
    """Whether PyTorch can pack weights here: its operators for this are not public, and not every build has
    them."""
    draw = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(48, 64, generator=draw), torch.randn(48, generator=draw)
    x = torch.randn(LEAST_ROWS, 64, generator=draw)
    try:
        given = packed_product(x, pack_weight(weight), bias)
    except (AttributeError, RuntimeError):
        return False
    return torch.allclose(given, linear(x, weight, bias), atol=1e-4)


def _is_worth_it(weight: Tensor) -> bool:
    on_cpu = weight.device.type == "cpu" and weight.dtype == torch.float32
    return on_cpu and weight.dim() == 2 and weight.numel() >= LEAST_NUMBERS


def pack_weight(weight: Tensor) -> Tensor:
    """A copy for ``packed_product``, which nothing else understands."""
    operators: Any = torch.ops.mkldnn
    with torch.no_grad():
        return operators._reorder_linear_weight(weight.detach().contiguous(), LEAST_ROWS)


def packed_product(x: Tensor, packed: Tensor, bias: Tensor | None) -> Tensor:
    """``linear`` with a weight of ``pack_weight``."""
    operators: Any = torch.ops.mkldnn
    return operators._linear_pointwise(x, packed, bias, "none", [], "")
