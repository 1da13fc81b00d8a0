"""The sum of a row's embeddings from several tables."""

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor
from torch.nn.functional import embedding

from personaplex_ui.models.personaplex.kernels.operators import register


def embed_sum(tokens: Tensor, tables: Sequence[Tensor], added: Tensor | None = None) -> Tensor:
    """In each row the entries ``tokens`` int64 ``[n, tables]`` of ``tables``, each ``[entries, dim]``, summed
    in their order, and then ``added`` ``[n, dim]``: ``[n, dim]``."""
    if tokens.is_cuda:
        return _embed_sum(tokens, list(tables), added)
    return embed_sum_twin(tokens, tables, added)


def embed_sum_twin(tokens: Tensor, tables: Sequence[Tensor], added: Tensor | None) -> Tensor:
    total = reduce(torch.add, map(embedding, tokens.unbind(1), tables))
    return total if added is None else total + added


def _kernel(tokens: Tensor, tables: list[Tensor], added: Tensor | None) -> Tensor:
    from personaplex_ui.models.personaplex.kernels.gpu import embedding

    return embedding.embed_sum(tokens, tables, added)


def _fake_embed_sum(tokens: Tensor, tables: list[Tensor], added: Tensor | None) -> Tensor:
    return tables[0].new_empty(tokens.shape[0], tables[0].shape[1])


_embed_sum = register(
    "embed_sum(Tensor tokens, Tensor[] tables, Tensor? added) -> Tensor",
    embed_sum_twin,
    _kernel,
    _fake_embed_sum,
)
