"""moshi's root mean square norm ``rms_norm_f32`` (``moshi/modules/transformer.py``): float32 inside."""

import torch
from torch import Tensor

from personaplex_ui.models.personaplex.kernels.operators import register


def rms_norm(x: Tensor, alpha: Tensor, eps: float) -> Tensor:
    """``x`` ``[..., dim]`` over its root mean square, times ``alpha`` (``dim`` numbers, as in moshi's
    ``[1, 1, dim]``). In float32 bit for bit moshi's."""
    if x.is_cuda:
        return _rms_norm(x, alpha, eps)
    return rms_norm_twin(x, alpha, eps)


def add_rms_norm(x: Tensor, added: Tensor, alpha: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """``x + added``, both ``[..., dim]``, rounded to their dtype, and the norm of that."""
    if x.is_cuda:
        return _add_rms_norm(x, added, alpha, eps)
    return add_rms_norm_twin(x, added, alpha, eps)


def rms_norm_twin(x: Tensor, alpha: Tensor, eps: float) -> Tensor:
    wide = x.float()
    variance = eps + torch.mean(wide**2, dim=-1, keepdim=True)
    return (wide * (alpha.float().view(-1) * torch.rsqrt(variance))).to(x.dtype)


def add_rms_norm_twin(x: Tensor, added: Tensor, alpha: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    total = x + added
    return total, rms_norm_twin(total, alpha, eps)


def _kernel(x: Tensor, alpha: Tensor, eps: float) -> Tensor:
    from personaplex_ui.models.personaplex.kernels.gpu import norm

    return norm.rms_norm(x, alpha, eps)


def _add_kernel(x: Tensor, added: Tensor, alpha: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    from personaplex_ui.models.personaplex.kernels.gpu import norm

    return norm.add_rms_norm(x, added, alpha, eps)


def _fake_rms_norm(x: Tensor, alpha: Tensor, eps: float) -> Tensor:
    return x.new_empty(x.shape)


def _fake_add_rms_norm(x: Tensor, added: Tensor, alpha: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape), x.new_empty(x.shape)


_rms_norm = register(
    "rms_norm(Tensor x, Tensor alpha, float eps) -> Tensor",
    rms_norm_twin,
    _kernel,
    _fake_rms_norm,
)
_add_rms_norm = register(
    "add_rms_norm(Tensor x, Tensor added, Tensor alpha, float eps) -> (Tensor, Tensor)",
    add_rms_norm_twin,
    _add_kernel,
    _fake_add_rms_norm,
)
