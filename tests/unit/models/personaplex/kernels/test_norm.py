"""The norm against moshi's own."""

import pytest
import torch
from moshi.modules import transformer
from torch import Tensor

from personaplex_ui.models.personaplex.kernels.norm import add_rms_norm, rms_norm

EPS = 1e-8


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def moshis(x: Tensor, alpha: Tensor) -> Tensor:
    return transformer._rms_norm(x, alpha, torch.float32, EPS)  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("shape", [(1, 1, 32), (3, 1, 88), (2, 5, 1024)])
def test_the_norm_is_moshis_bit_for_bit(dtype: torch.dtype, shape: tuple[int, ...]):
    x, alpha = drawn(*shape).to(dtype), drawn(1, 1, shape[-1], seed=1)
    given = rms_norm(x, alpha, EPS)
    assert given.dtype == dtype
    assert torch.equal(given, moshis(x, alpha))
    assert torch.equal(rms_norm(x, alpha.flatten(), EPS), given)
    assert torch.equal(rms_norm(x[0, 0], alpha, EPS), given[0, 0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_adding_first_rounds_the_sum(dtype: torch.dtype):
    x, added, alpha = drawn(2, 3, 48).to(dtype), drawn(2, 3, 48, seed=1).to(dtype), drawn(1, 1, 48, seed=2)
    total, normed = add_rms_norm(x, added, alpha, EPS)
    assert torch.equal(total, x + added)
    assert torch.equal(normed, moshis(x + added, alpha))


def test_a_row_of_zeros_stays_one():
    assert not rms_norm(torch.zeros(1, 1, 16), torch.ones(16), EPS).any()
