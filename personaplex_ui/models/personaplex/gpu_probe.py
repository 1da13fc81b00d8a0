"""Reports the GPU as PyTorch sees it and the memory the configured model needs, before anything is loaded.

Runs as a separate program (``python -m``), so that torch's memory, a CUDA context or a hanging driver do not
affect the process that asks. Reads no weights.
"""

import sys
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter


@dataclass(frozen=True, slots=True)
class Wanted:
    """See ``load.Source``. ``config``: the path of the model's ``config.json``; empty if it is not on disk
    yet."""

    device: str
    slots: int
    persona_cache_bytes: int
    cpu_offload: bool = False
    quantize: bool = False
    config: str = ""


@dataclass(frozen=True, slots=True)
class TorchFacts:
    """``cuda``: the version PyTorch was built for. ``gpu``: the name of the GPU the model would use, or
    empty, with its compute ``capability``. ``gpu_needed``, ``gpu_free`` and ``host_needed``: bytes.
    ``trouble``: why the model cannot run, and what to do. ``warning``: PyTorch's own warning about GPUs."""

    version: str
    cuda: str = ""
    gpu: str = ""
    capability: tuple[int, int] = (0, 0)
    gpu_needed: int = 0
    gpu_free: int = 0
    host_needed: int = 0
    trouble: str = ""
    warning: str = ""


WANTED, FACTS = TypeAdapter(Wanted), TypeAdapter(TorchFacts)


def probe(wanted: Wanted) -> TorchFacts:
    """Imports torch, which takes seconds."""
    import torch

    from personaplex_ui.models.personaplex.loading.checkpoint_files import CheckpointUnusable, read_json
    from personaplex_ui.models.personaplex.loading.gpu_memory import check_gpu_room, memory_needs
    from personaplex_ui.models.personaplex.loading.load import choose_device

    facts = TorchFacts(torch.__version__, torch.version.cuda or "")
    slots, options = wanted.slots, (wanted.persona_cache_bytes, wanted.quantize)
    try:
        device = choose_device(wanted.device)
        config = read_json(Path(wanted.config), "Fetch it again.") if wanted.config else {}
        if device.type != "cuda":
            return replace(facts, host_needed=memory_needs(config, torch.float32, *options).total(slots))
        dtype, memory = torch.bfloat16, torch.cuda.mem_get_info(device)
        facts = replace(
            facts,
            gpu=torch.cuda.get_device_name(device),
            capability=torch.cuda.get_device_capability(device),
            host_needed=memory_needs(config, dtype, *options).weights if wanted.cpu_offload else 0,
            gpu_needed=memory_needs(config, dtype, *options, wanted.cpu_offload).total(slots),
            gpu_free=memory[0],
        )
        check_gpu_room(config, device, dtype, slots, *options, lambda _: memory, wanted.cpu_offload)
    except CheckpointUnusable as error:
        return replace(facts, trouble=str(error))
    except RuntimeError as error:  # from torch, if CUDA does not start
        return replace(facts, trouble=f"CUDA does not start: {str(error).splitlines()[0]}. Try nvidia-smi.")
    return facts


if __name__ == "__main__":
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        found = probe(WANTED.validate_json(sys.argv[1]))
    said = [" ".join(str(warning.message).split()) for warning in caught if "CUDA" in str(warning.message)]
    sys.stdout.buffer.write(FACTS.dump_json(replace(found, warning=said[0] if said else "")))
