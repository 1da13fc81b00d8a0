"""One level of residual quantization: the best entry of a codebook, and what it leaves."""

import torch
from torch import Tensor
from torch.nn.functional import embedding

from personaplex_ui.models.personaplex.kernels.operators import register


def take_best(scores: Tensor, x: Tensor, entries: Tensor, codes: Tensor) -> Tensor:
    """Writes the number of each row's largest score, of float32 ``[n, bins]``, into ``codes``, int64 ``[n]``;
    the first one of equals. Returns ``x``, ``[n, dim]``, without those of ``entries``, ``[bins, dim]``."""
    if x.is_cuda:
        return _take_best(scores, x, entries, codes)
    return take_best_twin(scores, x, entries, codes)


def take_best_twin(scores: Tensor, x: Tensor, entries: Tensor, codes: Tensor) -> Tensor:
    torch.argmax(scores, 1, out=codes)
    return x - embedding(codes, entries)


def _kernel(scores: Tensor, x: Tensor, entries: Tensor, codes: Tensor) -> Tensor:
    from personaplex_ui.models.personaplex.kernels.gpu import codebook

    return codebook.take_best(scores, x, entries, codes)


def _fake(scores: Tensor, x: Tensor, entries: Tensor, codes: Tensor) -> Tensor:
    return x.new_empty(x.shape)


_take_best = register(
    "take_best(Tensor scores, Tensor x, Tensor entries, Tensor(a!) codes) -> Tensor",
    take_best_twin,
    _kernel,
    _fake,
)
