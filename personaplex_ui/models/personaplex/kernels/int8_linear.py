"""A linear layer without a bias whose weights are int8, with one scale for each output."""

import logging
from collections.abc import Callable
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional

from personaplex_ui.models.personaplex.kernels.operators import register

log = logging.getLogger(__name__)

PACKED_COLUMNS = 16
"""torch's kernel for bfloat16 on x86 (``int8mm_kernel.cpp``) reads 16 aligned columns at once; with fewer it
reads out of bounds and the process crashes."""

AGREES = 0.01
"""Allowed deviation of torch's kernel from the plain computation. Measured: 0.002."""


def int8_linear(x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    """``[..., in]`` -> ``[..., out]``, with ``weight`` int8 ``[out, in]`` and ``scale`` ``[out]``."""
    if x.is_cuda:
        return _int8_linear(x, weight, scale)
    return int8_linear_twin(x, weight, scale)


def int8_linear_twin(x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    # In float32 torch's kernel is a plain loop: 32 rows of 1024 take it 65 ms, the plain computation 3 ms. On
    # CUDA it is one thread for each output.
    packed = x.dtype == torch.bfloat16 and x.device.type == "cpu" and x.shape[-1] % PACKED_COLUMNS == 0
    if packed and packed_kernel_works():
        rows = x.reshape(-1, x.shape[-1]).contiguous()
        return packed_kernel(rows, weight, scale).view(*x.shape[:-1], len(scale))
    return plain_linear(x, weight, scale)


def plain_linear(x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    return functional.linear(x, weight.to(x.dtype)) * scale


def packed_kernel(rows: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    return cast(Any, torch)._weight_int8pack_mm(rows, weight, scale)


@cache
def packed_kernel_works() -> bool:
    """Whether torch's kernel works on this CPU: not every build has one, and nowhere else is it checked."""
    trouble = trouble_of(packed_kernel)
    if trouble:
        log.warning("%s, so that the int8 weights are used in a slow way.", trouble)
    return not trouble


def trouble_of(kernel: Callable[[Tensor, Tensor, Tensor], Tensor]) -> str:
    """Try ``kernel`` in bfloat16 against the plain computation: what is wrong with it, or nothing."""
    draw = torch.Generator().manual_seed(0)
    weight = torch.randint(-127, 128, (48, 4 * PACKED_COLUMNS), generator=draw, dtype=torch.int8)
    scale = torch.rand(48, generator=draw).bfloat16()
    for count in (1, 4, 32):
        rows = torch.randn(count, weight.shape[1], generator=draw).bfloat16()
        expected = plain_linear(rows.float(), weight, scale.float())
        try:
            given = kernel(rows, weight, scale).float()
        except RuntimeError as error:
            return f"PyTorch's int8 kernel does not work on this CPU ({error})"
        if not (given - expected).norm() < AGREES * expected.norm():  # so that NaN does not pass
            return "PyTorch's int8 kernel gives wrong results on this CPU"
    return ""


def _kernel(x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    from personaplex_ui.models.personaplex.kernels.gpu import linear

    return linear.int8_linear(x, weight, scale)


def _fake_int8_linear(x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    return x.new_empty(*x.shape[:-1], weight.shape[0])


_int8_linear = register(
    "int8_linear(Tensor x, Tensor weight, Tensor scale) -> Tensor",
    int8_linear_twin,
    _kernel,
    _fake_int8_linear,
)
