"""A linear layer without a bias, in which a row's sum does not depend on how many rows there are.

Libraries choose another kernel, and another order of summing, for another number of rows. So near a tie a
caller would be told something else because somebody else has called.
"""

from torch import Tensor
from torch.nn.functional import linear

from personaplex_ui.models.personaplex.kernels.operators import register


def row_linear(x: Tensor, weight: Tensor) -> Tensor:
    """``[..., in]`` -> ``[..., out]``, with ``weight`` ``[out, in]`` of the same dtype."""
    if x.is_cuda:
        return _row_linear(x, weight)
    return linear(x, weight)


def _kernel(x: Tensor, weight: Tensor) -> Tensor:
    from personaplex_ui.models.personaplex.kernels.gpu import linear

    return linear.row_linear(x, weight.contiguous())


def _fake_row_linear(x: Tensor, weight: Tensor) -> Tensor:
    return x.new_empty(*x.shape[:-1], weight.shape[0])


_row_linear = register("row_linear(Tensor x, Tensor weight) -> Tensor", linear, _kernel, _fake_row_linear)
