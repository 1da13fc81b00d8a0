"""A linear layer in one order of summing, on a CPU: there it is PyTorch's own."""

import torch
from torch.nn import Linear

from personaplex_ui.models.personaplex.kernels.row_linear import row_linear


@torch.no_grad()  # pyright: ignore[reportUntypedFunctionDecorator]
def test_it_is_pytorchs_layer():
    layer = Linear(32, 48, bias=False)
    for shape in ((32,), (3, 32), (2, 3, 32)):
        x = torch.randn(shape)
        assert torch.equal(row_linear(x, layer.weight), layer(x))
