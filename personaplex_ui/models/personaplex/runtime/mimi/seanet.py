"""SEANet, Mimi's convolutional encoder and decoder (``moshi/modules/seanet.py``), as a chain of steps.

Activations and sums are made in place wherever nobody needs the tensor any more.
"""

from collections.abc import Callable, Sequence

from moshi.modules.conv import StreamingConv1d, StreamingConvTranspose1d
from moshi.modules.seanet import SEANetResnetBlock
from torch import Tensor, nn
from torch.nn.functional import elu

from personaplex_ui.models.personaplex.runtime.mimi.convolutions import Convolution, TransposedConvolution
from personaplex_ui.models.personaplex.runtime.mimi.state import Arena
from personaplex_ui.models.personaplex.runtime.mimi.unsupported import unsupported

Step = Callable[[Tensor, list[Tensor], Tensor], Tensor]
"""Of an input ``[n, channels, t]``, the states of all convolutions, and the rows' positions ``[n, 1]``."""


class Chain:
    """One step after the other. ``owns_input``: its first step may overwrite the input."""

    def __init__(self, modules: Sequence[nn.Module], arena: Arena, owns_input: bool) -> None:
        self._steps = [
            _step(module, arena, in_place=owns_input or number > 0) for number, module in enumerate(modules)
        ]

    def __call__(self, x: Tensor, states: list[Tensor], start: Tensor) -> Tensor:
        for step in self._steps:
            x = step(x, states, start)
        return x


class _ResidualBlock:
    def __init__(self, block: SEANetResnetBlock, arena: Arena) -> None:
        self._chain = Chain(list(block.block), arena, owns_input=False)
        skips_truly = isinstance(block.shortcut, nn.Identity)
        self._shortcut = None if skips_truly else _step(block.shortcut, arena, in_place=False)

    def __call__(self, x: Tensor, states: list[Tensor], start: Tensor) -> Tensor:
        short = x if self._shortcut is None else self._shortcut(x, states, start)
        return self._chain(x, states, start).add_(short)


def _step(module: nn.Module, arena: Arena, in_place: bool) -> Step:
    match module:
        case nn.ELU():
            return lambda x, states, start: elu(x, module.alpha, inplace=in_place)
        case StreamingConv1d():
            return Convolution(module, arena)
        case StreamingConvTranspose1d():
            transposed = TransposedConvolution(module, arena)
            return lambda x, states, start: transposed(x, states)
        case SEANetResnetBlock():
            return _ResidualBlock(module, arena)
        case _:
            raise unsupported(f"a {type(module).__name__} in its encoder or decoder")
