"""What a causal convolution multiplies with its kernel, step by step, as the rows of one matrix."""

import torch
from torch import Tensor
from torch.nn.functional import elu

from personaplex_ui.models.personaplex.kernels.operators import register


def windows(
    x: Tensor,
    added: Tensor | None,
    before: Tensor,
    after: Tensor,
    start: Tensor | None,
    kernel: int,
    stride: int = 1,
    dilation: int = 1,
    alpha: float | None = None,
) -> Tensor:
    """The windows of ``before``, ``[n, past, channels]``, and then ``x``, ``[n, t, channels]``, to which
    ``added`` is added first: ``[n * t / stride, kernel * channels]``. ``past`` must be
    ``(kernel - 1) * dilation + 1 - stride``.

    The last ``past`` steps of both are written into ``after``, which is other memory than ``before``.
    ``start`` int64 ``[n, 1]``: a row with 0 there takes the first step of ``x`` for all of its past.
    ``alpha``: the windows, but not what is written, go through an ELU.
    """
    if x.is_cuda:
        return _windows(x, added, before, after, start, kernel, stride, dilation, alpha)
    return windows_twin(x, added, before, after, start, kernel, stride, dilation, alpha)


def windows_twin(
    x: Tensor,
    added: Tensor | None,
    before: Tensor,
    after: Tensor,
    start: Tensor | None,
    kernel: int,
    stride: int,
    dilation: int,
    alpha: float | None,
) -> Tensor:
    n, t, channels = x.shape
    if added is not None:
        x = x + added
    if start is not None:
        before = torch.where(start[:, :, None] == 0, x[:, :1], before)
    joined = torch.cat([before, x], dim=1)
    after.copy_(joined[:, t:])
    if alpha is not None:
        elu(joined, alpha, inplace=True)
    sizes = (n, t // stride, kernel, channels)
    strides = (joined.shape[1] * channels, stride * channels, dilation * channels, 1)
    return joined.as_strided(sizes, strides).reshape(n * (t // stride), kernel * channels)


def _kernel(
    x: Tensor,
    added: Tensor | None,
    before: Tensor,
    after: Tensor,
    start: Tensor | None,
    kernel: int,
    stride: int,
    dilation: int,
    alpha: float | None,
) -> Tensor:
    from personaplex_ui.models.personaplex.kernels.gpu import windows

    return windows.windows(x, added, before, after, start, kernel, stride, dilation, alpha)


def _fake(
    x: Tensor,
    added: Tensor | None,
    before: Tensor,
    after: Tensor,
    start: Tensor | None,
    kernel: int,
    stride: int,
    dilation: int,
    alpha: float | None,
) -> Tensor:
    n, t, channels = x.shape
    return x.new_empty(n * (t // stride), kernel * channels)


_windows = register(
    "windows(Tensor x, Tensor? added, Tensor before, Tensor(a!) after, Tensor? start, int kernel, "
    "int stride, int dilation, float? alpha) -> Tensor",
    windows_twin,
    _kernel,
    _fake,
)
