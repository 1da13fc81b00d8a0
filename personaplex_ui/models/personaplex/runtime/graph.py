"""Runs a tick: replayed as a CUDA graph where it was captured, else operator by operator.

A captured tick is one launch for the driver instead of a thousand. It repeats what was recorded, on the same
memory, and runs no Python; so a tick may only read and write tensors that stay where they are.
"""

import logging
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

log = logging.getLogger(__name__)

WARM_UP_RUNS = 2
"""Before a capture, on a stream of its own: kernels are compiled and workspaces allocated in them."""

Replay = Callable[[], object]


@dataclass(frozen=True, slots=True)
class TickShape:
    """What must be known before a tick to choose its kernels. ``filled``: no place of a ring at or beyond it
    is visible to anybody; ``riding``: the same for the prompt that is in the pass, 0 if there is none;
    ``past_pins``: see ``Temporal.block``; ``heard``: as ``filled``, of the rings of who reads the caller's
    codes besides, 0 if nobody does."""

    rows: int
    filled: int
    riding: int = 0
    past_pins: bool = False
    heard: int = 0


class Recorder(Protocol):
    """Records what ``function`` does, to be repeated on the same memory."""

    def record(self, function: Callable[[], None]) -> Replay: ...


class CudaRecorder:
    """CUDA graphs with one memory pool, since only one of them runs at a time."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool = torch.cuda.graph_pool_handle()

    def record(self, function: Callable[[], None]) -> Replay:
        aside = torch.cuda.Stream(self._device)
        aside.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP_RUNS):
                function()
        torch.cuda.current_stream(self._device).wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        # Other threads, which use no stream that is captured, may go on.
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            function()
        return graph.replay


@contextmanager
def left_as_they_were(tensors: Callable[[], Iterable[Tensor]]) -> Generator[None]:
    """Undoes what is done to ``tensors``, wherever they are afterwards."""
    kept = [tensor.clone() for tensor in tensors()]
    try:
        yield
    finally:
        for tensor, was in zip(tensors(), kept, strict=True):
            tensor.copy_(was)


class TickGraphs:
    """``tick`` does one tick of a shape; ``state``: all that it changes and a caller would miss.

    ``trouble`` tells why ticks are not captured; empty if they are.
    """

    def __init__(self, tick: Callable[[TickShape], None], state: Callable[[], Iterable[Tensor]]) -> None:
        self._tick = tick
        self._state = state
        self._replays: dict[TickShape, Replay] = {}
        self.trouble = "CUDA graphs need a GPU"

    @property
    def captured(self) -> int:
        """How many shapes can be replayed."""
        return len(self._replays)

    def smallest(self, rows: int, riding: bool) -> TickShape | None:
        """The captured shape with the fewest rows that has at least ``rows``; None if there is none."""
        fitting = [one for one in self._replays if one.rows >= rows and bool(one.riding) == riding]
        return min(fitting, key=lambda one: one.rows, default=None)

    @torch.no_grad()  # pyright: ignore[reportUntypedFunctionDecorator]
    def capture(
        self, recorder: Recorder, shapes: Iterable[TickShape], report: Callable[[TickShape], None]
    ) -> None:
        """Capture a tick of each of ``shapes``, the largest first, so that the others find room in its
        memory. Call it while nobody is on. On failure nothing stays captured, and ``trouble`` says why."""
        try:
            with left_as_they_were(self._state):
                for shape in sorted(shapes, key=lambda one: (one.rows, one.riding), reverse=True):
                    report(shape)
                    self._replays[shape] = recorder.record(lambda one=shape: self._tick(one))
            self.trouble = ""
        except RuntimeError as error:
            self._replays.clear()
            self.trouble = f"capturing failed: {str(error).splitlines()[0]}"
            log.exception(
                "A tick could not be captured as a CUDA graph; its operators are launched one by one."
            )

    def run(self, shape: TickShape) -> None:
        replay = self._replays.get(shape)
        if replay is None:
            self._tick(shape)
        else:
            replay()
