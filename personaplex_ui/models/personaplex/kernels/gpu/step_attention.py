# pyright: basic, reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false
# Triton's language is Python for the parser only.
"""A position's attention over a few before it: a program for each head, which keeps its key and value too."""

import math

import triton
import triton.language as tl
from torch import Tensor


@triton.jit(do_not_specialize=["step"])
def _step_attention(
    qkv_ptr, cache_ptr, out_ptr, step, row_stride, scale,
    HEADS: tl.constexpr, STEPS: tl.constexpr, DIM: tl.constexpr, BLOCK: tl.constexpr, BLOCK_DIM: tl.constexpr,
):  # fmt: skip
    row, head = tl.program_id(0), tl.program_id(1)
    place, number = tl.arange(0, BLOCK), tl.arange(0, BLOCK_DIM)
    inside = number < DIM
    at = qkv_ptr + (row * 3 * HEADS + head) * DIM + number
    q = tl.load(at, mask=inside, other=0).to(tl.float32)
    key = tl.load(at + HEADS * DIM, mask=inside, other=0)
    value = tl.load(at + 2 * HEADS * DIM, mask=inside, other=0)
    keys = cache_ptr + row.to(tl.int64) * row_stride + head * STEPS * DIM
    values = keys + HEADS * STEPS * DIM
    tl.store(keys + step * DIM + number, key, mask=inside)
    tl.store(values + step * DIM + number, value, mask=inside)

    # What was just written is not read again.
    before = (place < step)[:, None] & inside[None, :]
    now = (place == step)[:, None]
    offset = place[:, None] * DIM + number[None, :]
    seen = tl.where(now, key[None, :], tl.load(keys + offset, mask=before, other=0)).to(tl.float32)
    scores = tl.sum(seen * q[None, :], 1) * scale
    scores = tl.where(place <= step, scores, -float("inf"))
    weights = tl.exp2(scores - tl.max(scores, 0))
    seen = tl.where(now, value[None, :], tl.load(values + offset, mask=before, other=0)).to(tl.float32)
    result = tl.sum(seen * weights[:, None], 0) / tl.sum(weights, 0)
    out = out_ptr + (row * HEADS + head) * DIM + number
    tl.store(out, result.to(out_ptr.dtype.element_ty), mask=inside)


def step_attention(qkv: Tensor, cache: Tensor, step: int) -> Tensor:
    n, _, heads, head_dim = qkv.shape
    out = qkv.new_empty(n, heads * head_dim)
    assert cache[0].is_contiguous()
    if n:
        _step_attention[(n, heads)](
            qkv.contiguous(),
            cache,
            out,
            step,
            cache.stride(0),
            math.log2(math.e) / math.sqrt(head_dim),
            HEADS=heads,
            STEPS=cache.shape[3],
            DIM=head_dim,
            BLOCK=triton.next_power_of_2(cache.shape[3]),
            BLOCK_DIM=triton.next_power_of_2(head_dim),
            num_warps=1,
        )
    return out
