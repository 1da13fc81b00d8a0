# pyright: basic, reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false
# Triton's language is Python for the parser only.
"""The sum of a row's embeddings from several tables."""

import triton
import triton.language as tl
from torch import Tensor

BLOCK = 1024


@triton.jit
def _embed_sum(
    tokens_ptr, tables, added_ptr, out_ptr, dim, TABLES: tl.constexpr, ADDS: tl.constexpr, BLOCK: tl.constexpr
):
    row = tl.program_id(0).to(tl.int64)
    number = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = number < dim
    total = tl.zeros((BLOCK,), tl.float32)
    for table in tl.static_range(TABLES):
        token = tl.load(tokens_ptr + row * TABLES + table)
        embedded = tl.load(tables[table] + token * dim + number, mask=inside, other=0)
        # Rounded each time, as PyTorch does.
        total = (total + embedded.to(tl.float32)).to(out_ptr.dtype.element_ty).to(tl.float32)
    if ADDS:
        total += tl.load(added_ptr + row * dim + number, mask=inside, other=0).to(tl.float32)
    tl.store(out_ptr + row * dim + number, total.to(out_ptr.dtype.element_ty), mask=inside)


def embed_sum(tokens: Tensor, tables: list[Tensor], added: Tensor | None) -> Tensor:
    n, dim = len(tokens), tables[0].shape[1]
    out = tables[0].new_empty(n, dim)
    if n:
        _embed_sum[(n, triton.cdiv(dim, BLOCK))](
            tokens.contiguous(),
            tuple(tables),
            out if added is None else added.contiguous(),
            out,
            dim,
            TABLES=len(tables),
            ADDS=added is not None,
            BLOCK=BLOCK,
        )
    return out
