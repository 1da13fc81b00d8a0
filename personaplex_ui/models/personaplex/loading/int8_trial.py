"""Times int8 against the model's own numbers, where it runs, before the weights are loaded.

Only warns. Whether weights are int8 is decided by ``plan``, so that a restart never changes answers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch
from torch.nn.functional import linear

from personaplex_ui.models.personaplex.loading.int8 import Int8Linear, quantize

ROWS = 4
OUT_FEATURES, IN_FEATURES = 22_528, 4_096
"""The 7B's largest layer, 92 MB in int8: more than any GPU's cache holds, so that its memory is timed."""

WARM_UPS, RUNS = 3, 20
BLOCK_ROWS = 256

Stopwatch = Callable[[Callable[[], object]], float]
"""Seconds on the device that one call takes."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Seconds for one product of ``ROWS`` rows with the layer, in int8 and in the model's dtype."""

    int8_sec: float
    plain_sec: float

    @property
    def warning(self) -> str:
        """Empty where int8 is the faster one, as it should be: it reads half the bytes."""
        if self.int8_sec <= self.plain_sec:
            return ""
        took = f"{self.int8_sec * 1e3:.2f} ms, and {self.plain_sec * 1e3:.2f} ms without int8"
        return (
            f"int8 is slower here than it should be: a layer of the 7B takes {took}. personaplex-ui doctor "
            "says whether its fast kernel can run. QUANTIZE=off does without int8 if the GPU has the memory."
        )


def time_trial(device: torch.device, dtype: torch.dtype, stopwatch: Stopwatch | None = None) -> Trial:
    """On a GPU; takes some 300 MB of its memory for a moment. ``stopwatch``: CUDA's events if None."""
    layer = Int8Linear(IN_FEATURES, OUT_FEATURES, dtype, device)
    draw = torch.Generator(device).manual_seed(0)
    plain = torch.empty(OUT_FEATURES, IN_FEATURES, dtype=dtype, device=device)
    for first in range(0, OUT_FEATURES, BLOCK_ROWS):
        rows = torch.randn(BLOCK_ROWS, IN_FEATURES, device=device, generator=draw)
        block = slice(first, first + BLOCK_ROWS)
        layer.weight[block], layer.scale[block] = quantize(rows, dtype)
        plain[block] = rows.to(dtype)
    x = torch.randn(ROWS, IN_FEATURES, device=device, generator=draw).to(dtype)
    timed = stopwatch or _timed_by_events
    with torch.no_grad():
        return Trial(timed(lambda: layer(x)), timed(lambda: linear(x, plain)))


def _timed_by_events(run: Callable[[], object]) -> float:
    for _ in range(WARM_UPS):
        run()
    took_ms: list[float] = []
    for _ in range(RUNS):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        run()
        end.record()
        end.synchronize()
        took_ms.append(begin.elapsed_time(end))
    return median(took_ms) / 1e3
