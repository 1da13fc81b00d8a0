"""A residual sum and the layer norm after it, as in Mimi (``moshi/modules/transformer.py``)."""

import torch
from torch import Tensor
from torch.nn import functional

from personaplex_ui.models.personaplex.kernels.operators import register


def add_layer_norm(
    x: Tensor, update: Tensor, scale: Tensor | None, weight: Tensor, bias: Tensor, eps: float
) -> Tensor:
    """Adds ``update``, times ``scale`` ``[dim]`` if there is one, to ``x`` in place, both ``[m, dim]`` in
    float32. Returns the layer norm of that."""
    if x.is_cuda:
        return _add_layer_norm(x, update, scale, weight, bias, eps)
    return add_layer_norm_twin(x, update, scale, weight, bias, eps)


def add_layer_norm_twin(
    x: Tensor, update: Tensor, scale: Tensor | None, weight: Tensor, bias: Tensor, eps: float
) -> Tensor:
    if scale is None:
        x.add_(update)
    else:
        torch.addcmul(x, update, scale, out=x)
    return functional.layer_norm(x, weight.shape, weight, bias, eps)


def _kernel(
    x: Tensor, update: Tensor, scale: Tensor | None, weight: Tensor, bias: Tensor, eps: float
) -> Tensor:
    from personaplex_ui.models.personaplex.kernels.gpu import layer_norm

    return layer_norm.add_layer_norm(x, update, scale, weight, bias, eps)


def _fake(
    x: Tensor, update: Tensor, scale: Tensor | None, weight: Tensor, bias: Tensor, eps: float
) -> Tensor:
    return x.new_empty(x.shape)


_add_layer_norm = register(
    "add_layer_norm(Tensor(a!) x, Tensor update, Tensor? scale, Tensor weight, Tensor bias, float eps) "
    "-> Tensor",
    add_layer_norm_twin,
    _kernel,
    _fake,
)
