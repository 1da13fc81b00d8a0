# pyright: basic, reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false
# Triton's language is Python for the parser only.
"""The best entry of a codebook, and what it leaves: a program for each row."""

import triton
import triton.language as tl
from torch import Tensor


@triton.jit
def _take_best(
    scores_ptr, x_ptr, entries_ptr, codes_ptr, rest_ptr, bins, dim, x_stride, codes_stride,
    BLOCK_BINS: tl.constexpr, BLOCK_DIM: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    number = tl.arange(0, BLOCK_BINS)
    scores = tl.load(scores_ptr + row * bins + number, mask=number < bins, other=-float("inf"))
    best = tl.argmax(scores, 0).to(tl.int64)
    tl.store(codes_ptr + row * codes_stride, best)
    column = tl.arange(0, BLOCK_DIM)
    inside = column < dim
    entry = tl.load(entries_ptr + best * dim + column, mask=inside, other=0)
    rest = tl.load(x_ptr + row * x_stride + column, mask=inside, other=0) - entry
    tl.store(rest_ptr + row * dim + column, rest, mask=inside)


def take_best(scores: Tensor, x: Tensor, entries: Tensor, codes: Tensor) -> Tensor:
    assert scores.is_contiguous()
    assert entries.is_contiguous()
    assert x.stride(1) == 1
    rows, dim = x.shape
    rest = x.new_empty(rows, dim)
    if rows:
        _take_best[(rows,)](
            scores,
            x,
            entries,
            codes,
            rest,
            scores.shape[1],
            dim,
            x.stride(0),
            codes.stride(0),
            BLOCK_BINS=triton.next_power_of_2(scores.shape[1]),
            BLOCK_DIM=triton.next_power_of_2(dim),
            num_warps=8,
        )
    return rest
