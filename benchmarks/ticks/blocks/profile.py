"""Where the time of a tick goes on the device: PyTorch's profile of some replays, by kernel."""

import time
from collections.abc import Sequence
from typing import Any

from torch.profiler import ProfilerActivity, profile

from benchmarks.ticks.bandwidth import wait_for
from benchmarks.ticks.block import Block, Cell
from benchmarks.ticks.random_model import Crowd, random_model
from benchmarks.ticks.setup import TickSetup

CALLERS = (1, 4)
TICKS = 5
SHOWN = 20
NAME_CHARACTERS = 70


async def measure(setup: TickSetup) -> Block:
    rows: list[tuple[Cell, ...]] = []
    notes: list[str] = []
    for weights in setup.weights:
        rows += _rows_of(setup, weights, notes)
    return Block("profile", ("kernel", "a tick", "us a tick", "share"), tuple(rows), tuple(notes))


def _rows_of(setup: TickSetup, weights: str, notes: list[str]) -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = []
    with random_model(setup, max(CALLERS), weights, capture=True) as model:
        for callers in CALLERS:
            crowd = Crowd(model, setup, full=True)
            crowd.grow(callers)
            for _ in range(setup.warm_up_frames):
                crowd.step()
            events, wall_us = _profiled(crowd, setup)
            crowd.leave()
            label = f"{weights}, {callers} callers"
            found = _busy(events, setup)
            busy_us = sum(us for _, _, us in found)
            launches = sum(count for _, count, _ in found)
            notes.append(
                f"{label}, window full: {launches / TICKS:,.0f} kernels a tick, the device busy for "
                f"{busy_us / TICKS / 1_000:.1f} of {wall_us / TICKS / 1_000:.1f} ms."
            )
            rows += [
                (f"{label}: {name}", count / TICKS, us / TICKS, f"{us / busy_us:.0%}")
                for name, count, us in found[:SHOWN]
            ]
    return rows


def _profiled(crowd: Crowd, setup: TickSetup) -> tuple[Sequence[Any], float]:
    wait_for(setup.device)
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if setup.on_gpu else [])]
    with profile(activities=kinds) as profiled:
        started = time.perf_counter()
        for _ in range(TICKS):
            crowd.step()
        wait_for(setup.device)
        wall_us = 1e6 * (time.perf_counter() - started)
    return profiled.key_averages(), wall_us


def _busy(events: Sequence[Any], setup: TickSetup) -> list[tuple[str, int, float]]:
    """Name, calls and microseconds of what ran on the device itself, the longest first."""
    found: list[tuple[str, int, float]] = []
    for event in events:
        us = event.self_device_time_total if setup.on_gpu else event.self_cpu_time_total
        on_device = "CUDA" in str(event.device_type) or not setup.on_gpu
        if us > 0 and on_device:
            found.append((str(event.key)[:NAME_CHARACTERS], int(event.count), float(us)))
    return sorted(found, key=lambda one: one[2], reverse=True)
