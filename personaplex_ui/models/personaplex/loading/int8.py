"""Linear layers with int8 weights and one scale per row.

Independent of where the weights come from. Inputs and outputs keep the model's dtype.
"""

import logging
from collections.abc import Callable, Iterator
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import Linear, Module
from torch.nn.functional import linear

log = logging.getLogger(__name__)

QUANTIZED = ("transformer.layers.", "depformer.layers.")
"""Prefixes of the modules whose linear layers are quantized: nearly all of the weights. Embeddings and heads,
which quantization hurts most, stay as they are."""

LARGEST = 127
"""-128 is not used, so that positive and negative numbers are rounded alike."""

BLOCK_NUMBERS = 2**20
"""Numbers quantized at once, so that a whole float tensor is never in memory."""

KERNEL_COLUMNS = 16
"""torch's kernel for bfloat16 on x86 (``int8mm_kernel.cpp``) reads 16 aligned columns at once; with fewer it
reads out of bounds and the process crashes."""

AGREES = 0.01
"""Allowed deviation of torch's kernel from the plain computation. Measured: 0.002 in bfloat16."""


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
        self.uses_kernel = False

    def forward(self, x: Tensor) -> Tensor:
        if not self.uses_kernel:
            return _plain(x, self.weight, self.scale)
        rows = x.reshape(-1, x.shape[-1]).contiguous()
        return _by_kernel(rows, self.weight, self.scale).view(*x.shape[:-1], len(self.scale))


def _plain(x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    return linear(x, weight.to(x.dtype)) * scale


def _by_kernel(rows: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    # On CUDA, torch 2.9 always returns float32.
    return cast(Any, torch)._weight_int8pack_mm(rows, weight, scale).to(rows.dtype)


# Which of the two ways ------------------------------------------------------------------------------------


def choose_way(model: Module, device: torch.device, dtype: torch.dtype) -> None:
    """Let the quantized layers of ``model`` use torch's kernel if it works on ``device``."""
    layers = [module for module in model.modules() if isinstance(module, Int8Linear)]
    usable = [layer for layer in layers if _is_usable(device, dtype, layer.weight.shape[1])]
    if usable and kernel_works(device, dtype):
        for layer in usable:
            layer.uses_kernel = True


def _is_usable(device: torch.device, dtype: torch.dtype, columns: int) -> bool:
    # In float32 the CPU's kernel is a plain loop: 32 rows of 1024 take it 65 ms, the plain computation 3 ms.
    return columns % KERNEL_COLUMNS == 0 and (device.type != "cpu" or dtype == torch.bfloat16)


def kernel_works(device: torch.device, dtype: torch.dtype) -> bool:
    """Try torch's kernel: not every device has one, and its results are checked nowhere else."""
    draw = torch.Generator().manual_seed(0)
    weight, scale = quantize(torch.randn(48, 4 * KERNEL_COLUMNS, generator=draw), dtype)
    for count in (1, 4, 32):
        rows = torch.randn(count, weight.shape[1], generator=draw).to(dtype)
        expected = _plain(rows.float(), weight, scale.float())
        try:
            given = _by_kernel(rows.to(device), weight.to(device), scale.to(device)).float().cpu()
        except RuntimeError as error:
            log.warning("PyTorch's int8 kernel does not work on %s, which will be slow: %s", device, error)
            return False
        if not (given - expected).norm() < AGREES * expected.norm():  # so that NaN does not pass
            log.warning("PyTorch's int8 kernel gives wrong results on %s; a slow way is used.", device)
            return False
    return True


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
