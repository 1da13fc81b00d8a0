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
    """See ``load.Source``, also for what None means. ``config``: the path of the model's ``config.json``;
    empty if it is not on disk yet."""

    device: str
    slots: int | None
    persona_cache_bytes: int
    cpu_offload: bool = False
    quantize: bool | None = None
    kv_int8: bool | None = None
    config: str = ""


@dataclass(frozen=True, slots=True)
class TorchFacts:
    """``cuda``: the version PyTorch was built for. ``gpu``: the name of the GPU the model would use, or
    empty, with its compute ``capability``. ``gpu_needed``, ``gpu_free`` and ``host_needed``: bytes.
    ``slots`` and ``reasons``: see ``loading.plan.Plan``; ``int8``: of the weights.
    ``trouble``: why the model cannot run, and what to do. ``warning``: PyTorch's own warning about GPUs."""

    version: str
    cuda: str = ""
    gpu: str = ""
    capability: tuple[int, int] = (0, 0)
    gpu_needed: int = 0
    gpu_free: int = 0
    host_needed: int = 0
    slots: int = 0
    reasons: tuple[str, ...] = ()
    int8: bool = False
    trouble: str = ""
    warning: str = ""


WANTED, FACTS = TypeAdapter(Wanted), TypeAdapter(TorchFacts)


def probe(wanted: Wanted) -> TorchFacts:
    """Imports torch, which takes seconds."""
    import torch

    from personaplex_ui.models.personaplex.loading.checkpoint_files import CheckpointUnusable, read_json
    from personaplex_ui.models.personaplex.loading.gpu import read_gpu
    from personaplex_ui.models.personaplex.loading.gpu_memory import model_bytes
    from personaplex_ui.models.personaplex.loading.load import choose_device
    from personaplex_ui.models.personaplex.loading.plan import Wishes, make_plan

    facts = TorchFacts(torch.__version__, torch.version.cuda or "")
    cache, offload = wanted.persona_cache_bytes, wanted.cpu_offload
    wishes = Wishes(wanted.quantize, wanted.kv_int8, wanted.slots, cache, offload)
    try:
        device = choose_device(wanted.device)
        config = read_json(Path(wanted.config), "Fetch it again.") if wanted.config else {}
        if device.type != "cuda":
            sizes = model_bytes(config, torch.float32)
            plan = make_plan(wishes, sizes, None, "float32")
            needs = sizes.needs(plan.quantize, plan.kv_int8, cache)
            return replace(facts, host_needed=needs.total(plan.slots))
        gpu, sizes = read_gpu(device), model_bytes(config, torch.bfloat16)
        facts = replace(facts, gpu=gpu.name, capability=gpu.capability, gpu_free=gpu.free)
        plan = make_plan(wishes, sizes, gpu, "bfloat16")
        facts = replace(
            facts,
            host_needed=sizes.needs(plan.quantize).weights if offload else 0,
            gpu_needed=sizes.needs(plan.quantize, plan.kv_int8, cache, offload).total(plan.slots),
            slots=plan.slots,
            reasons=plan.reasons,
            int8=plan.quantize,
        )
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
