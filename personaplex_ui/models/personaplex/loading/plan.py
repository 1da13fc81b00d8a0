"""What ``auto`` means here: int8 or not, for weights and for keys and values, and how many calls.

Pure. What changes answers (``quantize``, ``kv_int8``) is decided by the settings, the model's sizes and the
kind of GPU, never by what is free or measured, so that no restart changes it.
"""

from dataclasses import dataclass

from personaplex_ui.audio.frames import FRAME_SEC
from personaplex_ui.errors import setting
from personaplex_ui.models.personaplex.loading.checkpoint_files import CheckpointUnusable, human_size
from personaplex_ui.models.personaplex.loading.gpu import GpuFacts
from personaplex_ui.models.personaplex.loading.gpu_memory import CONTEXT_BYTES, MemoryNeeds, ModelBytes

USUAL_CALLS = 4
"""The calls that a GPU should serve, and the number on a CPU."""

MOST_CALLS = 64
RESERVE = 0.2
FRAME_LIMIT_SEC = (1 - RESERVE) * FRAME_SEC
"""What a frame may take, so that a fifth of its 80 ms is left for all that was not computed or measured."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the settings say; None is auto."""

    quantize: bool | None = None
    kv_int8: bool | None = None
    slots: int | None = None
    persona_cache_bytes: int = 0
    cpu_offload: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What the model is built with. ``slots``: as many as memory holds, unless the settings say how many;
    ``reasons``: a sentence for each decision; ``by_memory``: how many calls fit, None without a GPU."""

    quantize: bool
    kv_int8: bool
    slots: int
    reasons: tuple[str, ...]
    by_memory: int | None = None


def make_plan(wishes: Wishes, sizes: ModelBytes, gpu: GpuFacts | None, dtype_name: str) -> Plan:
    """``gpu`` None: there is none, or it cannot be asked yet. ``dtype_name``: of the model, for the reasons.

    Raises:
        CheckpointUnusable: the GPU has no room for what is wished.
    """
    if gpu is None:
        return _plan_without_gpu(wishes, dtype_name)
    quantize, weights = _choose_weights(wishes, sizes, gpu, dtype_name)
    kv_int8, key_values = _choose_key_values(wishes, sizes, gpu, quantize, dtype_name)
    needs = sizes.needs(quantize, kv_int8, wishes.persona_cache_bytes, wishes.cpu_offload)
    fitting = min(needs.fitting(gpu.free), MOST_CALLS)
    if fitting < (wishes.slots or 1):
        raise _no_room(wishes, sizes, gpu, Plan(quantize, kv_int8, wishes.slots or 1, ()), needs)
    slots = wishes.slots or (min(fitting, USUAL_CALLS) if wishes.cpu_offload else fitting)
    return Plan(quantize, kv_int8, slots, (weights, key_values), fitting)


def _plan_without_gpu(wishes: Wishes, dtype_name: str) -> Plan:
    def told(wish: bool | None, name: str) -> str:
        why = "since there is no GPU to ask" if wish is None else f"as {name} says"
        return f"{_kind(wish is True, dtype_name)}, {why}."

    reasons = (
        f"Weights in {told(wishes.quantize, 'QUANTIZE')}",
        f"Keys and values in {told(wishes.kv_int8, 'KV_CACHE')}",
    )
    return Plan(wishes.quantize is True, wishes.kv_int8 is True, wishes.slots or USUAL_CALLS, reasons)


def _choose_weights(wishes: Wishes, sizes: ModelBytes, gpu: GpuFacts, dtype_name: str) -> tuple[bool, str]:
    slow = f" {gpu.name} has no bfloat16 of its own and is slow in it." if not gpu.has_bfloat16 else ""
    if wishes.quantize is not None:
        return wishes.quantize, f"Weights in {_kind(wishes.quantize, dtype_name)}, as QUANTIZE says.{slow}"
    if wishes.cpu_offload:
        return False, f"Weights in {dtype_name}, since CPU_OFFLOAD keeps them in host memory.{slow}"
    wanted, kv_int8 = wishes.slots or USUAL_CALLS, wishes.kv_int8 is True
    fitting = sizes.needs(False, kv_int8, wishes.persona_cache_bytes).fitting(gpu.total - CONTEXT_BYTES)
    if fitting < wanted:
        holds = f"{max(fitting, 0)} of {wanted} calls" if fitting > 0 else "no call"
        return True, f"Weights in int8, since {gpu.name} has memory for {holds} in {dtype_name}.{slow}"
    if not gpu.bandwidth:
        return False, f"Weights in {dtype_name}: they fit, and the bandwidth of {gpu.name} is unknown.{slow}"
    frame_sec = sizes.frame_sec(gpu.bandwidth, USUAL_CALLS, False, kv_int8)
    computed = f"a frame of {USUAL_CALLS} calls in {dtype_name} is computed to take {frame_sec * 1e3:.0f} ms"
    limit = f"{FRAME_LIMIT_SEC * 1e3:.0f} ms"
    if frame_sec > FRAME_LIMIT_SEC:
        return True, f"Weights in int8, since on {gpu.name} {computed}, over {limit}.{slow}"
    return False, f"Weights in {dtype_name}: on {gpu.name} {computed}, of {limit}.{slow}"


def _choose_key_values(
    wishes: Wishes, sizes: ModelBytes, gpu: GpuFacts, quantize: bool, dtype_name: str
) -> tuple[bool, str]:
    if wishes.kv_int8 is not None:
        return wishes.kv_int8, f"Keys and values in {_kind(wishes.kv_int8, dtype_name)}, as KV_CACHE says."

    def served(kv_int8: bool) -> int:
        needs = sizes.needs(quantize, kv_int8, wishes.persona_cache_bytes, wishes.cpu_offload)
        by_memory = min(needs.fitting(gpu.total - CONTEXT_BYTES), MOST_CALLS)
        if not gpu.bandwidth or wishes.cpu_offload:
            return by_memory
        within = (
            calls
            for calls in range(by_memory, 0, -1)
            if sizes.frame_sec(gpu.bandwidth, calls, quantize, kv_int8) <= FRAME_LIMIT_SEC
        )
        return next(within, 0)

    wanted, plain, int8 = wishes.slots or USUAL_CALLS, served(False), served(True)
    said = f"{gpu.name} is computed to serve {max(plain, 0)} calls with them in {dtype_name}"
    if plain < wanted and int8 > plain:
        return True, f"Keys and values in int8, since {said}, and {int8} in int8; {wanted} are wanted."
    return False, f"Keys and values in {dtype_name}: {said}."


def _no_room(
    wishes: Wishes, sizes: ModelBytes, gpu: GpuFacts, plan: Plan, needs: MemoryNeeds
) -> CheckpointUnusable:
    cache, offload, free = wishes.persona_cache_bytes, wishes.cpu_offload, gpu.free
    fitting = needs.fitting(free)
    helps = [setting("MAX_CALLS", fitting)] if fitting > 0 else []
    if not plan.quantize:
        smaller = sizes.needs(True, plan.kv_int8, cache, offload).fitting(free)
        still = f" and leaves room for {setting('MAX_CALLS', smaller)}" if smaller < plan.slots else ""
        helps += [f"{setting('QUANTIZE', 'int8')}, which halves the weights{still}"] if smaller > 0 else []
    if not plan.kv_int8 and sizes.needs(plan.quantize, True, cache, offload).fitting(free) > max(fitting, 0):
        helps += [f"{setting('KV_CACHE', 'int8')}, which halves what a call takes"]
    offloaded = sizes.needs(wishes.quantize is True, wishes.kv_int8 is not False, cache, cpu_offload=True)
    if not offload and offloaded.total(plan.slots) <= free:
        helps += [f"{setting('CPU_OFFLOAD', 1)}, which is slow and for clips only"]
    helps += ["stopping other programs that use this GPU", "a GPU with more memory"]
    return CheckpointUnusable(
        f"PersonaPlex needs {human_size(needs.total(plan.slots))} of GPU memory: "
        f"{human_size(needs.weights)} for the weights, {human_size(needs.call)} for each of "
        f"{setting('MAX_CALLS', plan.slots)} calls and {human_size(needs.besides)} besides. "
        f"{human_size(free)} are free. What helps: {', or '.join(helps)}."
    )


def _kind(int8: bool, dtype_name: str) -> str:
    return "int8" if int8 else dtype_name
