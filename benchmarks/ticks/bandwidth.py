"""How many bytes a tick must read, and how fast this device can copy."""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import Module

from personaplex_ui.models.personaplex.model import PersonaPlexModel

COPIED_BYTES = 1 << 30
COPIED_BYTES_ON_A_CPU = 1 << 26
COPIES = 20
LOOKED_UP = ("emb.", "text_emb.", "depformer_emb.", "depformer_text_emb.")
"""Prefixes of tables of which a tick reads some rows only."""


def copy_bandwidth(device: torch.device) -> float:
    """Bytes a second, read and written, of a plain copy that no cache can hold."""
    size = COPIED_BYTES if device.type == "cuda" else COPIED_BYTES_ON_A_CPU
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    target.copy_(source)

    def copy() -> None:
        for _ in range(COPIES):
            target.copy_(source)

    return 2 * size * COPIES / timed(copy, device)


def timed(action: Callable[[], object], device: torch.device) -> float:
    """Seconds until the device has done it all."""
    wait_for(device)
    started = time.perf_counter()
    action()
    wait_for(device)
    return time.perf_counter() - started


def wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_each(action: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Seconds of one ``action``. On a GPU all ``repeats`` are one CUDA graph, so launches cost nothing."""
    if device.type != "cuda":
        action()
        return timed(lambda: [action() for _ in range(repeats)], device) / repeats
    aside = torch.cuda.Stream(device)
    aside.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(aside):
        action()
    torch.cuda.current_stream(device).wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(repeats):
            action()
    graph.replay()
    return min(timed(graph.replay, device) for _ in range(3)) / repeats


def weight_bytes(model: PersonaPlexModel) -> int:
    """What every tick reads of the language model, however many callers there are. Mimi's weights are left
    out: 0.3 GB, beside the 7B's 14."""
    lm: Module = model.language_model
    held: dict[str, Any] = lm.state_dict()
    return sum(tensor.nbytes for name, tensor in held.items() if not name.startswith(LOOKED_UP))


def place_bytes(model: PersonaPlexModel) -> int:
    """Keys and values of one position of one caller."""
    cache = model.stepper.temporal.new_cache(1, 1, model.stepper.options.int8_cache)
    return cache.nbytes
