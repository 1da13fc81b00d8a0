"""Whether the GPU has room for a recogniser beside PersonaPlex's calls. Pure.

Captions come last: they change nothing of how PersonaPlex is run but the number of calls that fit, and with
auto not below what is wanted.
"""

from dataclasses import replace

import torch

from personaplex_ui.errors import setting
from personaplex_ui.models.personaplex.captions.sizes import SttSizes
from personaplex_ui.models.personaplex.loading.checkpoint import empty_language_model, state_bytes
from personaplex_ui.models.personaplex.loading.checkpoint_files import CheckpointUnusable
from personaplex_ui.models.personaplex.loading.gpu import GpuFacts
from personaplex_ui.models.personaplex.loading.gpu_memory import ModelBytes, ReaderBytes
from personaplex_ui.models.personaplex.loading.plan import (
    FRAME_LIMIT_SEC,
    USUAL_CALLS,
    Plan,
    Wishes,
    make_plan,
)
from personaplex_ui.models.personaplex.runtime.prompt import CODEBOOKS

CODEBOOK_BYTES = 2048 * 256 * 4
"""One of Mimi's, in float32."""

WITH_CAPTIONS = "Captions of the caller by Kyutai STT"
LEFT_OUT = "No captions by Kyutai STT"


class NoRoom(CheckpointUnusable):
    """Captions were not demanded, and there is no room for them."""


def reader_bytes(sizes: SttSizes, dtype: torch.dtype) -> ReaderBytes:
    model = empty_language_model(sizes.arguments, dtype)
    codebooks = max(0, sizes.codebooks - CODEBOOKS) * CODEBOOK_BYTES
    read = sum(tensor.nbytes for name, tensor in model.state_dict().items() if "emb" not in name)
    layers, context, dim = (sizes.arguments[key] for key in ("num_layers", "context", "dim"))
    call = 2 * layers * context * dim * dtype.itemsize
    return ReaderBytes(state_bytes(model) + codebooks, read + codebooks, call)


def plan_captions(
    plan: Plan,
    wishes: Wishes,
    sizes: ModelBytes,
    gpu: GpuFacts | None,
    dtype_name: str,
    reader: ReaderBytes,
    demanded: bool,
) -> Plan:
    """``plan``, which was made of ``wishes``, with captions: fewer calls may fit. ``demanded``: the settings
    say so; else there must be room for the wanted calls.

    Raises:
        NoRoom: they were not demanded and have none.
        CheckpointUnusable: they were demanded, and the GPU cannot hold them.
    """
    if gpu is None:
        return _told(plan, f"{WITH_CAPTIONS}, as CAPTIONS says.")
    both = sizes.with_reader(reader)
    fixed = replace(wishes, quantize=plan.quantize, kv_int8=plan.kv_int8)
    try:
        found = make_plan(fixed, both, gpu, dtype_name)
    except CheckpointUnusable as error:
        if not demanded:
            raise NoRoom(f"{LEFT_OUT}: {gpu.name} has no memory for them beside the calls.") from error
        without = f"{setting('CAPTIONS', 'auto')}, which leaves them out where there is no room"
        raise CheckpointUnusable(f"With captions by Kyutai STT, {error} Or set {without}.") from error
    with_captions = replace(plan, slots=found.slots, by_memory=found.by_memory)
    if demanded:
        return _told(with_captions, f"{WITH_CAPTIONS}, as CAPTIONS says.")
    lines = wishes.slots or USUAL_CALLS
    if found.slots < lines:
        raise NoRoom(f"{LEFT_OUT}: beside them {gpu.name} has memory for {found.slots} of {lines} calls.")
    if not gpu.bandwidth:
        return _told(with_captions, f"{WITH_CAPTIONS}: they fit the memory of {gpu.name}.")
    frame_sec = both.frame_sec(gpu.bandwidth, lines, plan.quantize, plan.kv_int8)
    takes = f"a frame of {lines} calls with them is computed to take {frame_sec * 1e3:.0f} ms on {gpu.name}"
    limit = f"{FRAME_LIMIT_SEC * 1e3:.0f} ms"
    if frame_sec > FRAME_LIMIT_SEC:
        raise NoRoom(f"{LEFT_OUT}: {takes}, over {limit}.")
    return _told(with_captions, f"{WITH_CAPTIONS}: {takes}, of {limit}.")


def _told(plan: Plan, reason: str) -> Plan:
    return replace(plan, reasons=(*plan.reasons, reason))
