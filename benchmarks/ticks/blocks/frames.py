"""Milliseconds a frame: by number of callers, kind of weights, and how full the windows are."""

import torch

from benchmarks.ticks.bandwidth import copy_bandwidth, place_bytes, weight_bytes
from benchmarks.ticks.block import Block, Cell, percentile
from benchmarks.ticks.random_model import Crowd, fitting_callers, random_model
from benchmarks.ticks.setup import TickSetup, say
from personaplex_ui.models.personaplex.model import PersonaPlexModel

COLUMNS = ("weights", "window", "callers", "p50 ms", "p99 ms", "GB/s", "of a copy", "GPU GB")


async def measure(setup: TickSetup) -> Block:
    rows: list[tuple[Cell, ...]] = []
    notes: list[str] = []
    copy = copy_bandwidth(setup.device)
    for weights in setup.weights:
        rows += _rows_of_weights(setup, weights, copy, notes)
    notes += [
        f"A plain copy reads and writes {copy / 1e9:,.0f} GB/s here. The bytes of a tick are computed: all "
        "weights once, and the keys and values of the places that callers have filled.",
        f"{setup.frames} frames of each kind, timed as the engine sees them; {setup.size} with random weights"
        + (", keys and values in int8." if setup.kv_int8 else "."),
    ]
    return Block("frames", COLUMNS, tuple(rows), tuple(notes))


def _rows_of_weights(setup: TickSetup, weights: str, copy: float, notes: list[str]) -> list[tuple[Cell, ...]]:
    fitting = fitting_callers(setup, weights)
    if fitting < setup.callers[-1]:
        notes.append(f"{weights}: the memory of this GPU holds {fitting} callers.")
        setup = setup.with_callers(*[callers for callers in setup.callers if callers <= fitting])
    if not setup.callers:
        return []
    with random_model(setup, setup.callers[-1], weights, capture=True) as model:
        notes.append(f"{weights}: {model.stepper.graphs.trouble or 'replayed as CUDA graphs'}.")
        early = _rows_of(model, setup, weights, False, copy, notes)
        return early + _rows_of(model, setup, weights, True, copy, notes)


def _rows_of(
    model: PersonaPlexModel, setup: TickSetup, weights: str, full: bool, copy: float, notes: list[str]
) -> list[tuple[Cell, ...]]:
    crowd = Crowd(model, setup, full)
    window = model.stepper.temporal.window
    name = weights if setup.on_gpu or weights != "bf16" else "float32"
    rows: list[tuple[Cell, ...]] = []
    for callers in setup.callers:
        if setup.time_is_up:
            notes.append(f"No time was left for {weights}, {callers} callers, {_window(full)}.")
            break
        crowd.grow(callers)
        times = [crowd.timed_step() for _ in range(setup.warm_up_frames + setup.frames)]
        times = times[setup.warm_up_frames :]
        p50, p99 = percentile(times, 0.5), percentile(times, 0.99)
        places = window if full else min(window, crowd.positions + setup.frames)
        read = weight_bytes(model) + callers * places * place_bytes(model)
        speed = read / p50
        rows.append(
            (
                name,
                _window(full),
                callers,
                1_000 * p50,
                1_000 * p99,
                speed / 1e9,
                f"{speed / copy:.0%}",
                _gpu_gb(setup.device),
            )
        )
        say(f"{name}, {_window(full)}, {callers} callers: {1_000 * p50:.1f} ms (p99 {1_000 * p99:.1f})")
    crowd.leave()
    return rows


def _window(full: bool) -> str:
    return "full" if full else "early"


def _gpu_gb(device: torch.device) -> float | None:
    """All that is taken of the GPU's memory, also by CUDA itself."""
    if device.type != "cuda":
        return None
    free, total = torch.cuda.mem_get_info(device)
    return (total - free) / 1e9
