"""Tries a kernel beside its plain PyTorch before it is used: nothing else would tell that it is wrong."""

from collections.abc import Callable, Iterable
from typing import Any, cast

import torch
from torch import Tensor

from personaplex_ui.models.personaplex.kernels.triton_setup import build_trouble

AGREES = 0.02
"""Allowed deviation of what a kernel returns and writes. Rounding to bfloat16 makes 0.004."""

Sample = Callable[[torch.device], tuple[Any, ...]]


def trouble_of(
    name: str,
    twin: Callable[..., Any],
    kernel: Callable[..., Any],
    samples: Iterable[Sample],
    device: torch.device,
) -> str:
    """Why ``kernel`` cannot be used on ``device``, or nothing. It is run beside ``twin`` on each sample."""
    for sample in samples:
        given, expected = sample(device), sample(device)
        try:
            found = _tensors((kernel(*given), given))
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # whatever Triton, a compiler or the driver raises
            told = build_trouble() or str(error).strip().partition("\n")[0] or type(error).__name__
            return f"The kernel {name} does not run on {device}: {told}"
        wanted = _tensors((twin(*expected), expected))
        if not all(_agree(*pair) for pair in zip(found, wanted, strict=True)):
            return f"The kernel {name} gives wrong results on {device}."
    return ""


def _tensors(tree: object) -> list[Tensor]:
    if isinstance(tree, Tensor):
        return [tree.cpu()]
    parts = cast(tuple[object, ...], tree) if isinstance(tree, tuple) else ()
    return [tensor for part in parts for tensor in _tensors(part)]


def _agree(found: Tensor, wanted: Tensor) -> bool:
    if found.shape != wanted.shape:
        return False
    if wanted.dtype == torch.int64:  # tokens and codes
        return found.dtype == wanted.dtype and torch.equal(found, wanted)
    error, size = (found.double() - wanted.double()).square().sum(), wanted.double().square().sum()
    return bool(error <= AGREES**2 * size)  # so that NaN does not agree
