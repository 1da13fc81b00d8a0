"""Sums of embeddings against moshi's own module."""

import pytest
import torch
from moshi.models.lm_utils import ScaledEmbedding
from torch import Tensor

from personaplex_ui.models.personaplex.kernels.embedding import embed_sum


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.no_grad()  # pyright: ignore[reportUntypedFunctionDecorator]
def test_a_sum_is_moshis_bit_for_bit(dtype: torch.dtype):
    modules = [ScaledEmbedding(6 + number, 32).to(dtype) for number in range(4)]
    tables = [module.weight for module in modules]
    tokens = torch.tensor([[0, 6, 7, 8], [1, 0, 3, 2], [5, 5, 5, 5]])
    wanted: Tensor = sum(module(tokens[:, number]) for number, module in enumerate(modules))  # pyright: ignore
    added = torch.randn(3, 32).to(dtype)
    given = embed_sum(tokens, tables)
    assert given.dtype == dtype
    assert torch.equal(given, wanted)
    assert torch.equal(embed_sum(tokens, tables, added), wanted + added)
