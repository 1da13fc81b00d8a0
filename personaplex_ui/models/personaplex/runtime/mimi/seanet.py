"""SEANet, Mimi's convolutional encoder and decoder (``moshi/modules/seanet.py``), as a chain of convolutions.

An activation belongs to the convolution after it. The sum at the end of a residual block is left to what
follows, which makes it on its way.
"""

from collections.abc import Callable, Sequence

from moshi.modules.conv import StreamingConv1d, StreamingConvTranspose1d
from moshi.modules.seanet import SEANetResnetBlock
from torch import Tensor, nn

from personaplex_ui.models.personaplex.kernels.packed_linear import PackedWeights
from personaplex_ui.models.personaplex.runtime.mimi.convolutions import Convolution, TransposedConvolution
from personaplex_ui.models.personaplex.runtime.mimi.state import Arena, Memory
from personaplex_ui.models.personaplex.runtime.mimi.unsupported import unsupported

Step = Callable[[Tensor, Tensor | None, Memory], tuple[Tensor, Tensor | None]]
"""From one or two tensors ``[n, t, channels]``, which are meant to be added, to one or two others."""


class Chain:
    """One step after the other."""

    def __init__(self, modules: Sequence[nn.Module], arena: Arena, packed: PackedWeights) -> None:
        self._steps: list[Step] = []
        alpha: float | None = None
        for module in modules:
            activates = isinstance(module, nn.ELU)
            if alpha is not None and not isinstance(module, StreamingConv1d | StreamingConvTranspose1d):
                raise unsupported("an activation before something else than a convolution")
            if not activates:
                self._steps.append(_step(module, arena, packed, alpha))
            alpha = module.alpha if activates else None
        if alpha is not None:
            raise unsupported("an activation at the end of its encoder or decoder")

    def __call__(self, x: Tensor, memory: Memory) -> Tensor:
        """``[n, t, channels]`` -> the same of other sizes."""
        added: Tensor | None = None
        for step in self._steps:
            x, added = step(x, added, memory)
        return x if added is None else x + added


def _step(module: nn.Module, arena: Arena, packed: PackedWeights, alpha: float | None) -> Step:
    match module:
        case StreamingConv1d():
            return Convolution(module, arena, packed, alpha)
        case StreamingConvTranspose1d():
            return TransposedConvolution(module, arena, packed, alpha)
        case SEANetResnetBlock():
            return _ResidualBlock(module, arena, packed)
        case _:
            raise unsupported(f"a {type(module).__name__} in its encoder or decoder")


class _ResidualBlock:
    def __init__(self, block: SEANetResnetBlock, arena: Arena, packed: PackedWeights) -> None:
        self._chain = Chain(list(block.block), arena, packed)
        skips_truly = isinstance(block.shortcut, nn.Identity)
        self._shortcut = None if skips_truly else Chain([block.shortcut], arena, packed)

    def __call__(self, x: Tensor, added: Tensor | None, memory: Memory) -> tuple[Tensor, Tensor | None]:
        x = x if added is None else x + added
        return self._chain(x, memory), x if self._shortcut is None else self._shortcut(x, memory)
