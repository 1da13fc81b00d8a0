"""The residual sum and its norm against torch's operators one by one."""

import pytest
import torch
from torch.nn.functional import layer_norm

from personaplex_ui.models.personaplex.kernels.layer_norm import add_layer_norm


@pytest.mark.parametrize("scaled", [True, False])
def test_it_adds_in_place_and_norms_the_sum(scaled: bool):
    x, update = torch.randn(2, 6, 40)
    scale, weight, bias = torch.randn(3, 40)
    total = x + scale * update if scaled else x + update
    wanted = layer_norm(total, (40,), weight, bias, 1e-5)
    given = add_layer_norm(x, update, scale if scaled else None, weight, bias, 1e-5)
    torch.testing.assert_close(x, total, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(given, wanted, rtol=1e-6, atol=1e-6)
