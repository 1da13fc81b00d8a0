# pyright: basic, reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false
# Triton's language is Python for the parser only.
"""The gate of a feed-forward layer, in blocks of a row."""

import triton
import triton.language as tl
from torch import Tensor

BLOCK = 1024


@triton.jit
def _silu_mul(x_ptr, out_ptr, hidden, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    columns = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = columns < hidden
    first = x_ptr + row * 2 * hidden + columns
    gate = tl.load(first, mask=inside, other=0).to(tl.float32)
    passed = tl.load(first + hidden, mask=inside, other=0).to(tl.float32)
    # Rounded in between, as PyTorch does, which has two operators for it.
    opened = (gate / (1 + tl.exp(-gate))).to(out_ptr.dtype.element_ty).to(tl.float32)
    tl.store(out_ptr + row * hidden + columns, (opened * passed).to(out_ptr.dtype.element_ty), mask=inside)


def silu_mul(x: Tensor) -> Tensor:
    x = x.contiguous()
    hidden = x.shape[-1] // 2
    out = x.new_empty(*x.shape[:-1], hidden)
    if out.numel():
        _silu_mul[(out.numel() // hidden, triton.cdiv(hidden, BLOCK))](x, out, hidden, BLOCK=BLOCK)
    return out
