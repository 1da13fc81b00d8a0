"""Whether a model and its calls fit the memory of a GPU, computed from ``config.json`` alone."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from personaplex_ui.errors import setting
from personaplex_ui.models.personaplex.loading.checkpoint import empty_language_model, state_bytes
from personaplex_ui.models.personaplex.loading.checkpoint_files import CheckpointUnusable, Config, human_size
from personaplex_ui.models.personaplex.loading.int8 import quantize_layers
from personaplex_ui.models.personaplex.loading.model_sizes import language_model_sizes
from personaplex_ui.models.personaplex.loading.offload import device_bytes

GPU_RESERVE_BYTES = 1_000_000_000
"""Besides weights and calls: Mimi (0.4 GB), prompts in preparation, CUDA's workspace and, without an int8
kernel, one layer's dequantized weights (0.2 GB)."""

FreeMemory = Callable[[torch.device], tuple[int, int]]
"""Free and total bytes of a GPU, as ``torch.cuda.mem_get_info``."""


@dataclass(frozen=True, slots=True)
class MemoryNeeds:
    """Bytes on the model's device: ``weights``, ``call`` per call at full window, and ``besides``."""

    weights: int
    call: int
    besides: int

    def total(self, max_calls: int) -> int:
        return self.weights + max_calls * self.call + self.besides

    def fitting(self, free: int) -> int:
        """How many calls fit into ``free`` bytes; 0 or less means none."""
        return (free - self.weights - self.besides) // self.call


def memory_needs(
    config: Config,
    dtype: torch.dtype,
    persona_cache_bytes: int = 0,
    quantize: bool = False,
    cpu_offload: bool = False,
) -> MemoryNeeds:
    """Compute the needs from ``config.json`` alone. ``quantize``: the layers will be int8; ``cpu_offload``:
    the temporal layers will stay in host memory.

    Raises:
        CheckpointUnusable: the config cannot be used.
    """
    sizes = language_model_sizes(config)
    model = empty_language_model(sizes.moshi_arguments(), dtype)
    if quantize:
        quantize_layers(model)
    weights = device_bytes(model) if cpu_offload else state_bytes(model)
    return MemoryNeeds(weights, sizes.key_value_bytes(dtype), GPU_RESERVE_BYTES + persona_cache_bytes)


def check_gpu_room(
    config: Config,
    device: torch.device,
    dtype: torch.dtype,
    max_calls: int,
    persona_cache_bytes: int = 0,
    quantize: bool = False,
    free_memory: FreeMemory = torch.cuda.mem_get_info,
    cpu_offload: bool = False,
) -> None:
    """Check by ``memory_needs`` that the model and its calls fit. On a CPU, only checks the config.

    Raises:
        CheckpointUnusable: there is no room, or the config cannot be used.
    """
    if device.type != "cuda":
        language_model_sizes(config)
        return

    def needs(quantize: bool, cpu_offload: bool) -> MemoryNeeds:
        return memory_needs(config, dtype, persona_cache_bytes, quantize, cpu_offload)

    here = needs(quantize, cpu_offload)
    needed, (free, _) = here.total(max_calls), free_memory(device)
    if needed <= free:
        return
    helps = [setting("MAX_CALLS", here.fitting(free))] if here.fitting(free) > 0 else []
    if not quantize and (fitting := needs(True, cpu_offload).fitting(free)) > 0:
        still = f" and leaves room for {setting('MAX_CALLS', fitting)}" if fitting < max_calls else ""
        helps += [f"{setting('QUANTIZE', 'int8')}, which halves the weights{still}"]
    if not cpu_offload and needs(quantize, True).total(max_calls) <= free:
        helps += [f"{setting('CPU_OFFLOAD', 1)}, which is slow and for clips only"]
    helps += ["stopping other programs that use this GPU", "a GPU with more memory"]
    raise CheckpointUnusable(
        f"PersonaPlex needs {human_size(needed)} of GPU memory: {human_size(here.weights)} for the weights, "
        f"{human_size(here.call)} for each of {setting('MAX_CALLS', max_calls)} calls and "
        f"{human_size(here.besides)} besides. {human_size(free)} are free. What helps: {', or '.join(helps)}."
    )
