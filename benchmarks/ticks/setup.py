"""What the blocks of ``bench ticks`` measure, on which device, and how much time is left."""

import sys
import time
from dataclasses import dataclass, replace
from typing import Any

import torch

from personaplex_ui.models.personaplex.loading.checkpoint_files import Config


@dataclass(frozen=True, slots=True)
class TickSetup:
    """``arguments`` as ``LMModel`` takes them, with the depth steps of the released file. ``mimi_config``
    None: the usual Mimi. ``weights``: the kinds to measure, ``bf16`` (float32 on a CPU) and ``int8``;
    ``callers``: rising. ``ends_at``: when, on the monotonic clock, nothing new is begun."""

    size: str
    arguments: dict[str, Any]
    mimi_config: Config | None
    device: torch.device
    dtype: torch.dtype
    weights: tuple[str, ...]
    kv_int8: bool
    callers: tuple[int, ...]
    frames: int
    seed: int
    ends_at: float

    @property
    def on_gpu(self) -> bool:
        return self.device.type == "cuda"

    @property
    def time_is_up(self) -> bool:
        return time.monotonic() >= self.ends_at

    @property
    def warm_up_frames(self) -> int:
        return 20 if self.on_gpu else 1

    def with_callers(self, *callers: int) -> "TickSetup":
        return replace(self, callers=callers)


def say(text: str) -> None:
    """Progress, apart from the results."""
    print(text, file=sys.stderr, flush=True)
