"""Ticks whose operators are launched one by one, the same ticks as CUDA graphs, and whether anything in a
tick makes the host wait."""

import traceback
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast
from unittest.mock import patch

import torch

from benchmarks.ticks.block import Block, Cell, percentile
from benchmarks.ticks.random_model import Crowd, random_model
from benchmarks.ticks.setup import TickSetup
from personaplex_ui.models.personaplex.model import PersonaPlexModel
from personaplex_ui.models.personaplex.runtime.graph import CudaRecorder

CALLERS = (1, 4)
PRODUCT = "/personaplex_ui/"


async def measure(setup: TickSetup) -> Block:
    rows: list[tuple[Cell, ...]] = []
    notes: list[str] = []
    with random_model(setup, max(CALLERS), setup.weights[0], capture=False) as model:
        eager = {callers: _milliseconds(model, setup, callers) for callers in CALLERS}
        notes.append(_waits(model, setup))
        captured: dict[int, float] = {}
        if setup.on_gpu:
            model.stepper.capture(CudaRecorder(setup.device), lambda shape: None)
            captured = {callers: _milliseconds(model, setup, callers) for callers in CALLERS}
            notes.append(model.stepper.graphs.trouble or f"{model.stepper.graphs.captured} ticks captured.")
        rows += [(f"{callers} callers", eager[callers], captured.get(callers)) for callers in CALLERS]
    return Block("eager", ("p50 ms", "operator by operator", "as a CUDA graph"), tuple(rows), tuple(notes))


def _milliseconds(model: PersonaPlexModel, setup: TickSetup, callers: int) -> float:
    crowd = Crowd(model, setup)
    crowd.grow(callers)
    times = [1_000 * crowd.timed_step() for _ in range(setup.warm_up_frames + min(setup.frames, 50))]
    crowd.leave()
    return percentile(times[setup.warm_up_frames :], 0.5)


def _waits(model: PersonaPlexModel, setup: TickSetup) -> str:
    """Whether an eager tick makes the host wait for the device, as PyTorch itself sees it."""
    if not setup.on_gpu:
        return "Only a GPU can tell whether a tick makes the host wait."
    crowd = Crowd(model, setup)
    crowd.grow(1)
    try:
        with _no_waiting_in_the_tick(model):
            crowd.step()
    except RuntimeError as error:
        lines = [one for one in traceback.extract_tb(error.__traceback__) if PRODUCT in one.filename]
        return f"The host waits within a tick, at {lines[-1].filename}:{lines[-1].lineno}: {error}"
    finally:
        crowd.leave()
    return "Nothing within a tick makes the host wait (torch.cuda.set_sync_debug_mode)."


@contextmanager
def _no_waiting_in_the_tick(model: PersonaPlexModel) -> Generator[None]:
    run, cuda = model.stepper.graphs.run, cast(Any, torch.cuda)

    def watched(shape: Any) -> None:
        cuda.set_sync_debug_mode("error")
        try:
            run(shape)
        finally:
            cuda.set_sync_debug_mode("default")

    with patch.object(model.stepper.graphs, "run", watched):
        yield
