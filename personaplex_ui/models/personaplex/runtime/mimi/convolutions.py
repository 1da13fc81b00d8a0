"""Causal convolutions frame by frame, over the weights of moshi's (``moshi/modules/conv.py``).

A convolution remembers the last columns of its input, a transposed one what it has begun of its next output.
Both have their place in the ``Arena`` and change for every row, whether it is active or not: whoever runs the
frame brings them back.
"""

from typing import Any

import torch
from moshi.modules.conv import StreamingConv1d, StreamingConvTranspose1d
from torch import Tensor
from torch.nn.functional import conv1d, conv_transpose1d

from personaplex_ui.models.personaplex.runtime.mimi.state import Arena
from personaplex_ui.models.personaplex.runtime.mimi.unsupported import unsupported


class Convolution:
    """``StreamingConv1d``. ``replicates``: before a row's first frame, its input was always its first column,
    instead of zeros."""

    def __init__(self, module: StreamingConv1d, arena: Arena) -> None:
        if module.conv.norm_type != "none":
            raise unsupported(f"the convolution's norm {module.conv.norm_type}")
        convolution: Any = module.conv.conv
        self._weight: Tensor = convolution.weight
        self._bias: Tensor | None = convolution.bias
        self._stride: int = convolution.stride[0]
        self._dilation: int = convolution.dilation[0]
        self._groups: int = convolution.groups
        remembered = (convolution.kernel_size[0] - 1) * self._dilation + 1 - self._stride
        if remembered < 0:
            raise unsupported("a convolution that skips some of its input")
        self._number = arena.reserve(convolution.in_channels, remembered) if remembered else None
        self._remembered = remembered
        self.replicates = bool(remembered) and module.pad_mode == "replicate"

    def __call__(self, x: Tensor, previous: list[Tensor], start: Tensor) -> Tensor:
        """``[n, in, t]`` -> ``[n, out, t / stride]``, changing its own of the states ``previous``. ``start``
        int64 ``[n, 1]``: the rows' positions, 0 in their first frame."""
        if self._number is not None:
            state = previous[self._number]
            before = torch.where(start[:, :, None] == 0, x[:, :, :1], state) if self.replicates else state
            x = torch.cat([before, x], dim=2)
            state.copy_(x[:, :, -self._remembered :])
        return conv1d(x, self._weight, self._bias, self._stride, 0, self._dilation, self._groups)


class TransposedConvolution:
    """``StreamingConvTranspose1d``."""

    def __init__(self, module: StreamingConvTranspose1d, arena: Arena) -> None:
        if module.convtr.norm_type != "none":
            raise unsupported(f"the convolution's norm {module.convtr.norm_type}")
        convolution: Any = module.convtr.convtr
        self._weight: Tensor = convolution.weight
        self._bias: Tensor | None = convolution.bias
        self._stride: int = convolution.stride[0]
        self._groups: int = convolution.groups
        begun = convolution.kernel_size[0] - self._stride
        if begun < 0:
            raise unsupported("a transposed convolution that leaves some of its output out")
        self._number = arena.reserve(convolution.out_channels, begun) if begun else None
        self._begun = begun

    def __call__(self, x: Tensor, partial: list[Tensor]) -> Tensor:
        """``[n, in, t]`` -> ``[n, out, t * stride]``, changing its own of the states ``partial``."""
        y = conv_transpose1d(x, self._weight, self._bias, self._stride, 0, 0, self._groups)
        if self._number is None:
            return y
        state = partial[self._number]
        y[:, :, : self._begun].add_(state)
        following = y[:, :, -self._begun :]
        if self._bias is None:
            state.copy_(following)
        else:  # which the next output has of its own
            torch.sub(following, self._bias[:, None], out=state)
        return y[:, :, : -self._begun]


class Upsampling:
    """``ConvTrUpsample1d`` of one code frame: each channel by itself, twice as many columns as the stride.

    With one column in, a transposed convolution is a product of that column with its kernel.
    """

    def __init__(self, module: StreamingConvTranspose1d, arena: Arena) -> None:
        convolution: Any = module.convtr.convtr
        self.steps: int = convolution.stride[0]
        channels: int = convolution.out_channels
        if convolution.groups != channels or convolution.bias is not None:
            raise unsupported("an upsampling that mixes channels")
        if convolution.kernel_size[0] != 2 * self.steps:
            raise unsupported("an upsampling whose kernel is not twice its stride")
        now, later = torch.split(convolution.weight[:, 0].T, self.steps)
        self._now: Tensor = now.clone(memory_format=torch.contiguous_format)
        self._later: Tensor = later.clone(memory_format=torch.contiguous_format)
        self._number = arena.reserve(self.steps, channels)

    def __call__(self, x: Tensor, partial: list[Tensor]) -> Tensor:
        """``[n, channels]`` -> ``[n, steps, channels]``, changing its own of the states ``partial``."""
        state = partial[self._number]
        column = x[:, None]
        y = torch.addcmul(state, column, self._now)
        torch.mul(column, self._later, out=state)
        return y
