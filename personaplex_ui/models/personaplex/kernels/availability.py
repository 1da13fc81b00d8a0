"""Whether the Triton kernels run on a device."""

import torch

# Each registers its operators.
from personaplex_ui.models.personaplex.kernels import (
    codebook,
    embedding,
    gating,
    int8_linear,
    layer_norm,
    norm,
    ring,
    row_linear,
    sampling,
    step_attention,
    windows,
)
from personaplex_ui.models.personaplex.kernels.operators import OPERATORS

__all__ = [
    "codebook",
    "embedding",
    "gating",
    "int8_linear",
    "layer_norm",
    "norm",
    "ring",
    "row_linear",
    "sampling",
    "step_attention",
    "triton_trouble",
    "windows",
]


def triton_trouble(device: torch.device) -> str:
    """Why not all of Triton's kernels run on ``device``, and what to do; or nothing if they do.

    On a GPU the first call compiles and tries them, which takes some seconds with an empty cache. To be
    called before anything is captured.
    """
    if device.type != "cuda":
        return "Triton's kernels run on GPUs only."
    device = torch.empty(0, device=device).device  # with its index
    troubles = (operator.trouble(device) for operator in OPERATORS.values())
    return next((trouble for trouble in troubles if trouble), "")
