"""Runs a number of callers on an engine for some seconds and measures their latency and cost."""

import asyncio
import gc
import os
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.caller import Caller
from benchmarks.load_report import Load
from benchmarks.timed_model import TimedModel
from personaplex_ui.audio.frames import FRAME_SEC
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.engine.engine import Engine
from personaplex_ui.engine.speech_model import Persona, Sampling

APART_SEC = 2 * FRAME_SEC
"""Callers start one by one, so that each finds the engine ticking and is locked to its phase."""

SETTLE_SEC = 0.5


async def measure_load(
    engine: Engine, model: TimedModel, voices: Sequence[str], calls: int, seconds: float, seed: int
) -> Load:
    """``calls`` live calls, measured for ``seconds`` once all of them are speaking.

    The moments within a frame's 80 ms at which they begin are drawn with ``seed``.
    """
    dice = random.Random(seed)
    begins = [number * APART_SEC + dice.uniform(0.0, FRAME_SEC) for number in range(calls)]
    gc.collect()
    memory_before = resident_bytes()
    callers = [
        Caller(engine, CallSettings(Persona(voice, ""), Sampling(seed=seed), record=False), begin)
        for voice, begin in zip(voices, begins, strict=False)
    ]
    assert len(callers) == calls
    try:
        for caller in callers:
            await caller.start()
        await asyncio.sleep(calls * APART_SEC + SETTLE_SEC)
        for caller in callers:
            caller.latencies_sec.clear()
        model.step_sec.clear()
        cpu_started, started = time.process_time(), time.perf_counter()
        await asyncio.sleep(seconds)
        cpu_sec, wall_sec = time.process_time() - cpu_started, time.perf_counter() - started
        memory_bytes = resident_bytes() - memory_before
        stats = [caller.call.snapshot().stats for caller in callers]
        latencies_ms = 1_000 * np.concatenate([caller.latencies_sec for caller in callers])
        ticks_sec = model.step_sec[max(model.step_sec)]
    finally:
        for caller in callers:
            await caller.stop()
    return Load(
        calls=calls,
        frames=len(latencies_ms),
        latency_p50_ms=float(np.percentile(latencies_ms, 50)),
        latency_p95_ms=float(np.percentile(latencies_ms, 95)),
        cpu_percent_per_call=100 * cpu_sec / wall_sec / calls,
        memory_mb_per_call=memory_bytes / 2**20 / calls,
        tick_ms=1_000 * float(np.mean(ticks_sec)),
        dropped_heard=sum(each.dropped_heard for each in stats),
        dropped_said=sum(each.dropped_said for each in stats),
        most_lag_frames=max(each.lag_frames for each in stats),
    )


def resident_bytes() -> int:
    """This process's resident memory; its maximum where only that is known (macOS)."""
    if sys.platform == "linux":
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
