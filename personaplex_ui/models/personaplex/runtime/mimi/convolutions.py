"""Causal convolutions frame by frame, over the weights of moshi's (``moshi/modules/conv.py``).

Steps come before channels, ``[n, t, channels]``, so that each convolution is one product: of its ``windows``
with a matrix. moshi's way takes four times as long on a CPU. What a convolution remembers of its input has a
place in the ``Arena``.
"""

from typing import Any

import torch
from moshi.modules.conv import StreamingConv1d, StreamingConvTranspose1d
from torch import Tensor
from torch.nn.functional import elu, pad

from personaplex_ui.models.personaplex.kernels.packed_linear import PackedWeights
from personaplex_ui.models.personaplex.kernels.windows import windows
from personaplex_ui.models.personaplex.runtime.mimi.state import Arena, Memory
from personaplex_ui.models.personaplex.runtime.mimi.unsupported import unsupported


class Convolution:
    """``StreamingConv1d``, after an ELU of ``alpha`` if there is one."""

    def __init__(
        self, module: StreamingConv1d, arena: Arena, packed: PackedWeights, alpha: float | None = None
    ) -> None:
        convolution: Any = module.conv.conv
        _check(module.conv.norm_type, convolution.groups)
        self._kernel: int = convolution.kernel_size[0]
        self._stride: int = convolution.stride[0]
        self._dilation: int = convolution.dilation[0]
        self._alpha = alpha
        past = (self._kernel - 1) * self._dilation + 1 - self._stride
        if past < 0 or (past == 0 and self._dilation > 1):
            raise unsupported("a convolution that skips some of its input")
        self._number = arena.reserve(past, convolution.in_channels) if past else None
        self._replicates = module.pad_mode == "replicate"
        """Before a row's first frame, the input was always the first step, instead of zeros."""
        weight: Tensor = convolution.weight
        self._packed = packed
        self._weight = packed.add(weight.transpose(1, 2).flatten(1))
        self._bias: Tensor | None = convolution.bias

    def __call__(self, x: Tensor, added: Tensor | None, memory: Memory) -> tuple[Tensor, None]:
        """Of ``x + added``: ``[n, t, in]`` -> ``[n, t / stride, out]``."""
        n, t, _ = x.shape
        if self._number is None:
            seen = _activated(x, added, self._alpha).reshape(n * (t // self._stride), -1)
        else:
            before, after = memory.before[self._number], memory.after[self._number]
            start = memory.start if self._replicates else None
            shape = self._kernel, self._stride, self._dilation
            seen = windows(x, added, before, after, start, *shape, self._alpha)
        return self._packed.linear(seen, self._weight, self._bias).view(n, t // self._stride, -1), None


class TransposedConvolution:
    """``StreamingConvTranspose1d``, after an ELU of ``alpha`` if there is one.

    A step of the input reaches over so many strides of the output, so each stride of the output comes from a
    window of so many steps of the input.
    """

    def __init__(
        self, module: StreamingConvTranspose1d, arena: Arena, packed: PackedWeights, alpha: float | None
    ) -> None:
        convolution: Any = module.convtr.convtr
        _check(module.convtr.norm_type, convolution.groups)
        stride: int = convolution.stride[0]
        size: int = convolution.kernel_size[0]
        if size < stride:
            raise unsupported("a transposed convolution that leaves some of its output out")
        self._reach = -(-size // stride)
        self._stride = stride
        self._alpha = alpha
        past = self._reach - 1
        self._number = arena.reserve(past, convolution.in_channels) if past else None
        weight = pad(convolution.weight, (0, self._reach * stride - size))  # [in, out, reach * stride]
        by_stride = weight.unflatten(2, (self._reach, stride)).flip(2)
        self._packed = packed
        self._weight = packed.add(by_stride.permute(3, 1, 2, 0).reshape(stride * weight.shape[1], -1))
        bias: Tensor | None = convolution.bias
        self._bias = None if bias is None else bias.repeat(stride)

    def __call__(self, x: Tensor, added: Tensor | None, memory: Memory) -> tuple[Tensor, None]:
        """Of ``x + added``: ``[n, t, in]`` -> ``[n, t * stride, out]``."""
        n, t, _ = x.shape
        if self._number is None:
            seen = _activated(x, added, self._alpha).reshape(n * t, -1)
        else:
            before, after = memory.before[self._number], memory.after[self._number]
            seen = windows(x, added, before, after, None, self._reach, alpha=self._alpha)
        return self._packed.linear(seen, self._weight, self._bias).view(n, t * self._stride, -1), None


class Upsampling:
    """``ConvTrUpsample1d`` of one code frame: each channel by itself, twice as many steps as its stride.

    With one step in, a transposed convolution is a product of that step with its kernel.
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

    def __call__(self, x: Tensor, memory: Memory) -> Tensor:
        """``[n, channels]`` -> ``[n, steps, channels]``."""
        step = x[:, None]
        torch.mul(step, self._later, out=memory.after[self._number])
        return torch.addcmul(memory.before[self._number], step, self._now)


def _check(norm: str, groups: int) -> None:
    if norm != "none":
        raise unsupported(f"the norm {norm} in a convolution")
    if groups != 1:
        raise unsupported("a convolution of separate channels")


def _activated(x: Tensor, added: Tensor | None, alpha: float | None) -> Tensor:
    if added is not None:
        x = x + added
    return x if alpha is None else elu(x, alpha)
