"""A step's attention against moshi's own attention with weights for each step."""

import pytest
import torch
from moshi.modules.transformer import StreamingMultiheadAttention

from personaplex_ui.models.personaplex.kernels.step_attention import step_attention

HEADS, HEAD_DIM, STEPS = 2, 16, 8


@pytest.mark.parametrize("rows", [1, 3])
def test_a_step_sees_what_moshis_sees(rows: int):
    torch.manual_seed(0)
    theirs = StreamingMultiheadAttention(HEADS * HEAD_DIM, HEADS, causal=True, weights_per_step=STEPS)
    for projection in theirs.out_projs:
        torch.nn.init.eye_(projection.weight)  # pyright: ignore
    cache = torch.full((rows + 1, 2, HEADS, STEPS, HEAD_DIM), torch.nan)
    with torch.no_grad(), theirs.streaming(rows):
        for step in range(STEPS):
            x = torch.randn(rows, HEADS * HEAD_DIM)
            qkv = theirs.in_projs[step](x).view(rows, 3, HEADS, HEAD_DIM)
            wanted = theirs(x[:, None], x[:, None], x[:, None])[:, 0]
            torch.testing.assert_close(step_attention(qkv, cache[:rows], step), wanted, rtol=0, atol=1e-6)
    assert cache[rows:].isnan().all()
    assert not cache[:rows].isnan().any()
