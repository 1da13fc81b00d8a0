# pyright: basic, reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false
# Triton's language is Python for the parser only.
"""Weights times activations: each weight is read once for all rows of a tile, along its row.

A tick takes as long as the weights take to be read; int8 becomes the activations' dtype in registers only.
All tiles sum over the inputs in the same order, and no row's sum touches another's. So an answer does not
depend on how many others there are.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

FEW_ROWS = 16
"""The fewest rows of a tensor core's tile."""

MANY_ROWS = 32
"""From 64 on, compute capability 9.0 would have another instruction (``wgmma``), whose sums may differ."""

BLOCK_IN = 128
BLOCK_IN_FLOAT32 = 32
"""Float32 is multiplied without tensor cores, which takes more registers."""

MANY_OUTPUTS = 2048
"""With fewer, narrower tiles keep more of the GPU busy."""


@triton.jit(do_not_specialize=["rows"])
def _linear(
    x_ptr, weight_ptr, scale_ptr, out_ptr, rows, inputs, outputs, ROWS: tl.constexpr, BLOCK_IN: tl.constexpr,
    BLOCK_OUT: tl.constexpr, EVEN: tl.constexpr, SCALED: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    out = tl.program_id(1) * BLOCK_OUT + tl.arange(0, BLOCK_OUT)
    column = tl.arange(0, BLOCK_IN)
    x_at = x_ptr + row[:, None] * inputs + column[None, :]
    weight_at = weight_ptr + out[None, :] * inputs + column[:, None]
    is_row, is_out = row[:, None] < rows, out[None, :] < outputs
    total = tl.zeros((ROWS, BLOCK_OUT), tl.float32)
    for start in range(0, inputs, BLOCK_IN):
        if EVEN:
            x = tl.load(x_at + start, mask=is_row, other=0)
            weight = tl.load(weight_at + start, mask=is_out, other=0, eviction_policy="evict_first")
        else:
            inside = column < inputs - start
            is_weight = is_out & inside[:, None]
            x = tl.load(x_at + start, mask=is_row & inside[None, :], other=0)
            weight = tl.load(weight_at + start, mask=is_weight, other=0, eviction_policy="evict_first")
        total = tl.dot(x, weight.to(x.dtype), total, input_precision="ieee")
    if SCALED:
        scale = tl.load(scale_ptr + out, mask=out < outputs, other=0)
        total *= scale.to(tl.float32)[None, :]
    at = out_ptr + row[:, None] * outputs + out[None, :]
    tl.store(at, total.to(out_ptr.dtype.element_ty), mask=is_row & is_out)


def int8_linear(x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    return _launch(x, weight, scale)


def row_linear(x: Tensor, weight: Tensor) -> Tensor:
    return _launch(x, weight, None)


def _launch(x: Tensor, weight: Tensor, scale: Tensor | None) -> Tensor:
    x = x.contiguous()
    outputs, inputs = weight.shape
    rows = x.numel() // inputs
    result = x.new_empty(*x.shape[:-1], outputs)
    if not rows:
        return result
    tile = FEW_ROWS if rows <= FEW_ROWS else MANY_ROWS
    wide = outputs > MANY_OUTPUTS
    block_out = 32 if wide else 16
    block_in = BLOCK_IN_FLOAT32 if x.dtype == torch.float32 else BLOCK_IN
    # Tiles that share weights are next to each other, so that the second finds them in the GPU's cache.
    _linear[(triton.cdiv(rows, tile), triton.cdiv(outputs, block_out))](
        x,
        weight,
        weight if scale is None else scale,
        result,
        rows,
        inputs,
        outputs,
        ROWS=tile,
        BLOCK_IN=block_in,
        BLOCK_OUT=block_out,
        EVEN=inputs % block_in == 0,
        SCALED=scale is not None,
        num_warps=4 if wide else 2,
        num_stages=4,
    )
    return result
