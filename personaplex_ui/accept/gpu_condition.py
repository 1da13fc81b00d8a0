"""How warm and how fast the GPU is, by NVIDIA's own tool: a card that throttles explains late ticks."""

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass

WITHIN_SEC = 5.0
QUERY = "temperature.gpu,clocks.sm,power.draw"

RunTool = Callable[[Sequence[str]], str]
"""Runs a program and returns what it prints. Raises OSError or SubprocessError."""


@dataclass(frozen=True, slots=True)
class GpuCondition:
    """``at_sec``: since the soak began."""

    at_sec: float
    celsius: float
    clock_mhz: float
    watts: float


def read_condition(uuid: str, at_sec: float, run: RunTool | None = None) -> GpuCondition | None:
    """Of the GPU with this ``uuid``; None where it cannot be asked. Blocks."""
    command = ["nvidia-smi", f"--id={uuid}", f"--query-gpu={QUERY}", "--format=csv,noheader,nounits"]
    try:
        celsius, clock_mhz, watts = (float(part) for part in (run or _run)(command).split(","))
    except (OSError, subprocess.SubprocessError, ValueError):  # not every card tells its power
        return None
    return GpuCondition(at_sec, celsius, clock_mhz, watts)


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, timeout=WITHIN_SEC, check=True)
    return done.stdout.decode(errors="replace")
