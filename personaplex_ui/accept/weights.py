"""The model to try: as the settings say, or with the other kind of weights, and how it is let go of."""

import gc
from dataclasses import replace

import torch

from personaplex_ui.models.personaplex.hub.download import Hub, find_checkpoint
from personaplex_ui.models.personaplex.loading.checkpoint_files import CheckpointFiles
from personaplex_ui.models.personaplex.loading.int8 import Int8Linear
from personaplex_ui.models.personaplex.loading.load import Source
from personaplex_ui.models.personaplex.model import PersonaPlexModel


def whole(source: Source) -> Source:
    """As the reference has it, for one caller: nothing in int8, and a full window drops the persona."""
    return replace(source, quantize=False, kv_int8=False, pin_persona=False, slots=1, persona_cache_bytes=0)


def quantized(source: Source) -> Source:
    """With int8 weights, for one caller."""
    return replace(source, quantize=True, slots=1, persona_cache_bytes=0)


def has_int8(model: PersonaPlexModel) -> bool:
    return any(isinstance(module, Int8Linear) for module in model.language_model.modules())


def dtype_of(model: PersonaPlexModel) -> str:
    return str(model.stepper.temporal.dtype).removeprefix("torch.")


def kind_of_weights(model: PersonaPlexModel) -> str:
    """``int8`` or the dtype."""
    return "int8" if has_int8(model) else dtype_of(model)


def files_of(source: Source) -> CheckpointFiles:
    """The files of a model that has been loaded, so that nothing is fetched."""

    def unheard(sentence: str, progress: float) -> None:
        pass

    def unchecked(config: object) -> None:
        pass

    return find_checkpoint(source.repo, source.revision, Hub(token=source.token), unheard, unchecked)


def kinds_of_numbers(model: PersonaPlexModel) -> str:
    """``int8 weights, float32 keys and values``."""
    cache = "int8" if model.stepper.options.int8_cache else dtype_of(model)
    return f"{kind_of_weights(model)} weights, {cache} keys and values"


def gpu_of(model: PersonaPlexModel) -> str:
    """The UUID of its GPU, as NVIDIA's tools know it; empty on a CPU."""
    device = model.language_model.device
    return f"GPU-{torch.cuda.get_device_properties(device).uuid}" if device.type == "cuda" else ""


def free_memory() -> None:
    """After the last reference to a model is gone."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
