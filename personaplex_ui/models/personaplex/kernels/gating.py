"""The gate of moshi's feed-forward layers (``moshi/modules/gating.py``), between their two projections."""

from torch import Tensor
from torch.nn.functional import silu

from personaplex_ui.models.personaplex.kernels.operators import register


def silu_mul(x: Tensor) -> Tensor:
    """``[..., 2 * hidden]`` -> ``[..., hidden]``: ``silu`` of the first half, times the second."""
    if x.is_cuda:
        return _silu_mul(x)
    return silu_mul_twin(x)


def silu_mul_twin(x: Tensor) -> Tensor:
    gate, passed = x.unflatten(-1, (2, -1)).unbind(-2)
    return silu(gate) * passed


def _kernel(x: Tensor) -> Tensor:
    from personaplex_ui.models.personaplex.kernels.gpu import gating

    return gating.silu_mul(x)


def _fake_silu_mul(x: Tensor) -> Tensor:
    return x.new_empty(*x.shape[:-1], x.shape[-1] // 2)


_silu_mul = register("silu_mul(Tensor x) -> Tensor", silu_mul_twin, _kernel, _fake_silu_mul)
