"""The gate against moshi's own layer, whose projections are the identity here."""

from typing import Any, cast

import pytest
import torch
from moshi.modules import gating
from torch import Tensor
from torch.nn import Identity
from torch.nn.functional import silu

from personaplex_ui.models.personaplex.kernels.gating import silu_mul


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(1, 1, 2), (4, 1, 176), (2, 3, 90)])
def test_the_gate_is_moshis_bit_for_bit(dtype: torch.dtype, shape: tuple[int, ...]):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    moshis: Tensor = cast(Any, gating).gating_forward_generic(Identity(), Identity(), silu, x)
    given = silu_mul(x)
    assert given.dtype == dtype
    assert torch.equal(given, moshis)
    assert torch.equal(silu_mul(x[0, 0]), given[0, 0])
