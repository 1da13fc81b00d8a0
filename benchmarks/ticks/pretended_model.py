"""The language model and Mimi on the pretended device: their shapes and names, without weights."""

from typing import Any, TypeVar

import torch
from moshi.models.compression import MimiModel
from moshi.models.lm import LMModel
from torch import Tensor
from torch.nn import Module, Parameter

from benchmarks.ticks.pretended_device import DEVICE
from personaplex_ui.models.personaplex.loading.checkpoint import empty_codec, empty_language_model
from personaplex_ui.models.personaplex.loading.checkpoint_files import Config
from personaplex_ui.models.personaplex.loading.int8 import quantize_layers
from personaplex_ui.models.personaplex.loading.model_sizes import Sizes

Model = TypeVar("Model", bound=Module)


def pretended_language_model(arguments: dict[str, Any], dtype: torch.dtype, int8: bool) -> LMModel:
    """With ``arguments`` as ``LMModel`` takes them. Call it within ``pretended_device``."""
    model = empty_language_model(Sizes(arguments).moshi_arguments(), dtype)
    if int8:
        quantize_layers(model)
    return _pretended(model)


def pretended_recogniser(arguments: dict[str, Any], dtype: torch.dtype) -> LMModel:
    """As ``pretended_language_model``, of callers' words."""
    return _pretended(empty_language_model(arguments, dtype))


def pretended_mimi(config: Config | None = None) -> MimiModel:
    """Mimi in float32, full-size unless there is a ``config``. Call it within ``pretended_device``."""
    return _pretended(empty_codec(config))


def _pretended(model: Model) -> Model:
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            setattr(module, name, Parameter(_pretended_like(parameter), requires_grad=False))
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, _pretended_like(buffer))
    return model.eval()


def _pretended_like(tensor: Tensor) -> Tensor:
    return torch.empty(tuple(tensor.shape), dtype=tensor.dtype, device=DEVICE)
