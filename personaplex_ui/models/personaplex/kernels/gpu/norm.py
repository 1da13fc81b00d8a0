# pyright: basic, reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false
# Triton's language is Python for the parser only.
"""The norm of a row, one program each; with the residual added first if there is one."""

import torch
import triton
import triton.language as tl
from torch import Tensor

ELEMENTS_A_WARP = 512


@triton.jit
def _rms_norm(
    x_ptr, added_ptr, alpha_ptr, total_ptr, out_ptr, eps, dim, BLOCK: tl.constexpr, ADDS: tl.constexpr
):
    columns = tl.arange(0, BLOCK)
    inside = columns < dim
    at = tl.program_id(0).to(tl.int64) * dim + columns
    x = tl.load(x_ptr + at, mask=inside, other=0).to(tl.float32)
    if ADDS:
        total = x + tl.load(added_ptr + at, mask=inside, other=0).to(tl.float32)
        rounded = total.to(total_ptr.dtype.element_ty)
        tl.store(total_ptr + at, rounded, mask=inside)
        x = rounded.to(tl.float32)
    scale = tl.rsqrt(eps + tl.sum(x * x, 0) / dim)
    alpha = tl.load(alpha_ptr + columns, mask=inside, other=0).to(tl.float32)
    tl.store(out_ptr + at, (x * (alpha * scale)).to(out_ptr.dtype.element_ty), mask=inside)


def rms_norm(x: Tensor, alpha: Tensor, eps: float) -> Tensor:
    x = x.contiguous()
    out = torch.empty_like(x)
    _launch(x, x, alpha, out, out, eps, adds=False)
    return out


def add_rms_norm(x: Tensor, added: Tensor, alpha: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    x, added = x.contiguous(), added.contiguous()
    total, out = torch.empty_like(x), torch.empty_like(x)
    _launch(x, added, alpha, total, out, eps, adds=True)
    return total, out


def _launch(
    x: Tensor, added: Tensor, alpha: Tensor, total: Tensor, out: Tensor, eps: float, adds: bool
) -> None:
    dim = x.shape[-1]
    block = triton.next_power_of_2(dim)
    warps = min(16, max(1, block // ELEMENTS_A_WARP))
    rows = x.numel() // dim
    if rows:
        _rms_norm[(rows,)](x, added, alpha, total, out, eps, dim, BLOCK=block, ADDS=adds, num_warps=warps)
