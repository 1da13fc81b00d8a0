# pyright: basic, reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false
# Triton's language is Python for the parser only.
"""A residual sum and its layer norm, a program for each row."""

import triton
import triton.language as tl
from torch import Tensor

ELEMENTS_A_WARP = 256


@triton.jit
def _add_layer_norm(
    x_ptr, update_ptr, scale_ptr, weight_ptr, bias_ptr, out_ptr, eps, dim, BLOCK: tl.constexpr,
    SCALES: tl.constexpr,
):  # fmt: skip
    column = tl.arange(0, BLOCK)
    inside = column < dim
    at = tl.program_id(0).to(tl.int64) * dim + column
    update = tl.load(update_ptr + at, mask=inside, other=0)
    if SCALES:
        update *= tl.load(scale_ptr + column, mask=inside, other=0)
    total = tl.load(x_ptr + at, mask=inside, other=0) + update
    tl.store(x_ptr + at, total, mask=inside)
    # Twice over what is in registers: the mean of squares alone would lose what is small beside the mean.
    centred = tl.where(inside, total - tl.sum(total, 0) / dim, 0.0)
    weight = tl.load(weight_ptr + column, mask=inside, other=0)
    bias = tl.load(bias_ptr + column, mask=inside, other=0)
    normed = centred * tl.rsqrt(tl.sum(centred * centred, 0) / dim + eps)
    tl.store(out_ptr + at, normed * weight + bias, mask=inside)


def add_layer_norm(
    x: Tensor, update: Tensor, scale: Tensor | None, weight: Tensor, bias: Tensor, eps: float
) -> Tensor:
    assert x.is_contiguous()
    assert update.is_contiguous()
    out = x.new_empty(x.shape)
    rows, dim = x.shape
    block = triton.next_power_of_2(dim)
    if rows:
        _add_layer_norm[(rows,)](
            x,
            update,
            x if scale is None else scale,
            weight,
            bias,
            out,
            eps,
            dim,
            BLOCK=block,
            SCALES=scale is not None,
            num_warps=min(8, max(1, block // ELEMENTS_A_WARP)),
        )
    return out
