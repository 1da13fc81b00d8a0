"""The quantizer against moshi's, on thousands of latents: both round, so what counts is the distance."""

from typing import Any

import pytest
import torch
from moshi.quantization.vq import SplitResidualVectorQuantizer
from torch import Tensor

from personaplex_ui.models.personaplex.kernels.packed_linear import PackedWeights
from personaplex_ui.models.personaplex.runtime.mimi.quantizer import Quantizer

TIED = 1e-6
"""Of the squared length of what was left: what float32 cannot tell apart."""

SIZES = {"tiny": (64, 16, 4_000), "released": (512, 256, 1_000)}
"""Width of the latents, of the codebooks, and how many latents."""


def random_quantizer(width: int, dim: int, levels: int = 9) -> Any:
    torch.manual_seed(3)
    quantizer: Any = SplitResidualVectorQuantizer(
        n_q=levels, dimension=dim, input_dimension=width, output_dimension=width, bins=2048
    )
    for group in (quantizer.rvq_first, quantizer.rvq_rest):
        for level, layer in enumerate(group.vq.layers):
            codebook = layer._codebook
            codebook.cluster_usage.uniform_(0.5, 2)
            codebook.embedding_sum.normal_(std=0.8**level).mul_(codebook.cluster_usage[:, None])
    quantizer.set_num_codebooks(8)
    return quantizer.eval().requires_grad_(False)


def assert_tied(quantizer: Any, latent: Tensor, one: Tensor, other: Tensor) -> None:
    """At the first level at which ``one`` and ``other``, codes of ``latent``, differ, both are as near."""
    for group, levels in ((quantizer.rvq_first, range(1)), (quantizer.rvq_rest, range(1, 8))):
        left: Tensor = group.input_proj(latent[None, :, None])[0, :, 0].double()
        for level in levels:
            entries: Tensor = group.vq.layers[level - levels[0]].embedding.double()
            a, b = (left - entries[codes[level]] for codes in (one, other))
            if one[level] != other[level]:
                assert (a.square().sum() - b.square().sum()).abs() <= TIED * left.square().sum()
                break
            left = a


@pytest.mark.parametrize("size", SIZES)
def test_the_nearest_entries_are_moshis(size: str):
    width, dim, count = SIZES[size]
    quantizer = random_quantizer(width, dim)
    ours = Quantizer(quantizer, 8, PackedWeights())
    latents = torch.randn(count, width) * (dim / 16) ** 0.5
    differ = 0
    for batch in latents.split(50):
        theirs = quantizer.encode(batch[:, :, None])[:, :, 0]
        given = ours.encode(batch)
        for latent, one, other in zip(batch, given, theirs, strict=True):
            if not torch.equal(one, other):
                differ += 1
                assert_tied(quantizer, latent, one, other)
    assert differ <= 2


def test_codes_become_the_latents_that_moshi_makes_of_them():
    quantizer = random_quantizer(64, 16)
    codes = torch.randint(2048, (30, 8))
    given = Quantizer(quantizer, 8, PackedWeights()).decode(codes)
    torch.testing.assert_close(given, quantizer.decode(codes[:, :, None])[:, :, 0], rtol=1e-5, atol=1e-5)


def test_a_second_nearest_entry_is_no_tie():
    """The check above can fail."""
    quantizer = random_quantizer(64, 16)
    latent = torch.randn(64)
    codes = Quantizer(quantizer, 8, PackedWeights()).encode(latent[None])[0]
    wrong = codes.clone()
    wrong[5] = (wrong[5] + 1) % 2048
    with pytest.raises(AssertionError):
        assert_tied(quantizer, latent, codes, wrong)


def test_who_hears_with_more_codebooks_hears_the_same_in_the_first_ones():
    """Bit for bit, and what is spoken does not change."""
    quantizer = random_quantizer(*SIZES["released"][:2], levels=32)
    few, many = Quantizer(quantizer, 8, PackedWeights()), Quantizer(quantizer, 8, PackedWeights(), heard=32)
    for rows in (1, 3):
        latents = torch.randn(rows, 512) * 4
        codes = many.encode(latents)
        assert codes.shape == (rows, 32)
        assert torch.equal(codes[:, :8], few.encode(latents))
        assert torch.equal(many.decode(codes[:, :8]), few.decode(codes[:, :8]))
        many.heard = 8
        assert torch.equal(many.encode(latents), codes[:, :8])
        many.heard = 32
