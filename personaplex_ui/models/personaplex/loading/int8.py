"""Linear layers with int8 weights and one scale per row.

Independent of where the weights come from. Inputs and outputs keep the model's dtype.
"""

from collections.abc import Callable, Iterator
from typing import cast

import torch
from torch import Tensor
from torch.nn import Linear, Module

from personaplex_ui.models.personaplex.kernels.int8_linear import int8_linear

QUANTIZED = ("transformer.layers.", "depformer.layers.")
"""Prefixes of the modules whose linear layers are quantized: nearly all of the weights. Embeddings and heads,
which quantization hurts most, stay as they are."""

LARGEST = 127
"""-128 is not used, so that positive and negative numbers are rounded alike."""

BLOCK_NUMBERS = 2**20
"""Numbers quantized at once, so that a whole float tensor is never in memory."""


class Int8Linear(Module):
    """Like ``nn.Linear`` without a bias: ``[..., in]`` -> ``[..., out]``. ``weight`` int8 ``[out, in]``;
    ``scale`` ``[out]`` has the model's dtype."""

    weight: Tensor
    scale: Tensor

    def __init__(self, in_features: int, out_features: int, dtype: torch.dtype, device: torch.device) -> None:
        super().__init__()
        weight = torch.empty(out_features, in_features, dtype=torch.int8, device=device)
        self.register_buffer("weight", weight)
        self.register_buffer("scale", torch.empty(out_features, dtype=dtype, device=device))

    def forward(self, x: Tensor) -> Tensor:
        return int8_linear(x, self.weight, self.scale)


# Quantizing -----------------------------------------------------------------------------------------------


def quantize(rows: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """``rows`` float32 ``[n, in]`` as int8 ``[n, in]`` and scales ``[n]`` of ``dtype``."""
    scale = (rows.abs().amax(dim=1) / LARGEST).to(dtype)
    # Divide by the stored scale: rounding to bfloat16 shifts it by up to 0.4 %, which the numbers absorb.
    divisor = scale.float()[:, None]
    numbers = (rows / divisor).masked_fill_(divisor == 0, 0)
    return numbers.round_().clamp_(-LARGEST, LARGEST).to(torch.int8), scale


def read_quantized(
    read_rows: Callable[[int, int], Tensor],
    shape: torch.Size,
    device: torch.device,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor]:
    """Weight and scale of a linear layer of ``shape``; ``read_rows(first, count)`` returns float32 on
    ``device``."""
    weight = torch.empty(shape, dtype=torch.int8, device=device)
    scale = torch.empty(shape[0], dtype=dtype, device=device)
    block = max(1, BLOCK_NUMBERS // shape[1])
    for first in range(0, shape[0], block):
        rows = slice(first, min(first + block, shape[0]))
        weight[rows], scale[rows] = quantize(read_rows(first, rows.stop - first), dtype)
    return weight, scale


def quantize_layers(model: Module) -> dict[str, torch.Size]:
    """Put empty ``Int8Linear`` layers into ``model``, which is on the meta device. Returns the names and
    shapes of the weights to quantize."""
    shapes: dict[str, torch.Size] = {}
    for name, parent, own_name, child in list(_linear_layers(model)):
        assert child.bias is None, f"{name} has a bias"
        shapes[f"{name}.weight"] = child.weight.shape
        replaced = Int8Linear(child.in_features, child.out_features, child.weight.dtype, child.weight.device)
        setattr(parent, own_name, replaced)
    return shapes


def _linear_layers(model: Module) -> Iterator[tuple[str, Module, str, Linear]]:
    parents = cast(Iterator[tuple[str, Module]], model.named_modules())
    for parent_name, parent in parents:
        for own_name, child in parent.named_children():
            name = f"{parent_name}.{own_name}"
            if isinstance(child, Linear) and name.startswith(QUANTIZED):
                yield name, parent, own_name, child
