"""The reference's way beside ours: moshi's own ``LMGen`` with all 16 depth steps and Mimi, one caller."""

import time

import numpy as np
import torch

from benchmarks.random_weights import random_language_model, random_mimi
from benchmarks.ticks.bandwidth import wait_for
from benchmarks.ticks.block import Block, Cell, percentile
from benchmarks.ticks.random_model import Crowd, free_memory, random_model
from benchmarks.ticks.setup import TickSetup, say
from personaplex_ui.accept.reference import Reference
from personaplex_ui.audio.frames import FRAME_SAMPLES
from personaplex_ui.models.personaplex.runtime.prompt import STREAMS

PROMPT_FRAMES = 3
"""Before them it gives no tokens."""

WARM_UP_FRAMES = 5
"""It captures its CUDA graphs in the first ones."""


async def measure(setup: TickSetup) -> Block:
    """One after the other, so that a GPU need not hold both."""
    reference = _reference_times(setup)
    rows = [_row("reference's way", reference, None)]
    for weights in setup.weights:
        rows += _our_rows(setup, weights, reference)
    notes = (
        "The reference attends to the whole window, filled or not, and predicts the caller's codebooks, too.",
    )
    return Block("reference", ("1 caller", "p50 ms", "p99 ms", "p50 of the reference's"), tuple(rows), notes)


def _our_rows(setup: TickSetup, weights: str, reference: list[float]) -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = []
    with random_model(setup, 1, weights, capture=True) as model:
        for full in (False, True):
            crowd = Crowd(model, setup, full)
            crowd.grow(1)
            times = [crowd.timed_step() for _ in range(setup.warm_up_frames + setup.frames)]
            crowd.leave()
            name = f"ours, {weights}, window {'full' if full else 'early'}"
            rows.append(_row(name, times[setup.warm_up_frames :], reference))
    return rows


def _reference_times(setup: TickSetup) -> list[float]:
    say(f"Building the reference's way in {setup.size} ...")
    lm = random_language_model(setup.arguments, setup.device, setup.dtype, setup.seed, None)
    reference = Reference(lm, random_mimi(setup.device, setup.seed, setup.mimi_config))
    del lm
    sound = np.random.default_rng(setup.seed).normal(0.0, 0.1, FRAME_SAMPLES).astype(np.float32)
    times: list[float] = []
    with torch.no_grad():
        for _ in range(PROMPT_FRAMES):
            reference.step_prompt(torch.zeros(STREAMS, dtype=torch.long, device=setup.device))
        for _ in range(WARM_UP_FRAMES + setup.frames):
            wait_for(setup.device)
            started = time.perf_counter()
            reference.step(sound)
            times.append(time.perf_counter() - started)
    del reference
    free_memory(setup)
    return times[WARM_UP_FRAMES:]


def _row(name: str, times: list[float], reference: list[float] | None) -> tuple[Cell, ...]:
    p50 = percentile(times, 0.5)
    ratio = f"{p50 / percentile(reference, 0.5):.2f}" if reference else None
    return name, 1_000 * p50, 1_000 * percentile(times, 0.99), ratio
