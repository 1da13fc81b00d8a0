"""``bench ticks``: what a tick launches, on any machine; and what it takes, on a GPU or, to try it, on a CPU.

Torch is imported only here, when the measurement begins: the other commands do not need it.
"""

import argparse
import importlib
import json
import os
import shlex
import time
import traceback
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.options import whole
from personaplex_ui.errors import PersonaplexError

if TYPE_CHECKING:
    from benchmarks.ticks.block import Block
    from benchmarks.ticks.report import TicksReport
    from benchmarks.ticks.setup import TickSetup

SUMMARY = "a tick: its operators on any machine, its milliseconds on a GPU"

NEEDS_GPU = "No GPU was found. --block operators needs none; to try the other blocks here, add --size tiny."
SIZES = ("tiny", "0.1b", "0.5b", "7b")
WITHOUT_GPU = ("operators",)
BLOCKS = (
    "operators",
    "eager",
    "parity",
    "kernels",
    "profile",
    "frames",
    "personas",
    "startup",
    "reference",
)
"""In the order in which they are worth a GPU's time."""

CALLERS = (1, 2, 4, 8, 16, 32, 64)
TINY_MIMI = Path("tests/data/tiny/mimi_config.json")
"""With the smallest language model goes the smallest Mimi, so that a frame takes a CPU milliseconds."""

PAGE = Path("docs/PERFORMANCE.md")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--block", action="append", choices=(*BLOCKS, "all"), help="one or more; without a GPU: operators"
    )
    parser.add_argument("--size", choices=SIZES, default="7b", help="of the model (7b)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--weights", choices=("bf16", "int8", "both"), default="both")
    parser.add_argument("--kv", choices=("bf16", "int8"), default="bf16", help="keys and values (bf16)")
    parser.add_argument("--callers", type=_callers, default=CALLERS, help="(1,2,4,8,16,32,64)")
    parser.add_argument("--frames", type=whole(1, 10_000), default=200, help="measured of each kind (200)")
    parser.add_argument("--minutes", type=whole(1, 600), default=8, help="after so many nothing is begun (8)")
    parser.add_argument("--compare", action="store_true", help="also the reference's way: --block reference")
    parser.add_argument("--write", action="store_true", help=f"put the tables into {PAGE}")
    parser.add_argument("--seed", type=int, default=1, help="of weights, sound and tokens (1)")


async def measure(given: argparse.Namespace) -> "TicksReport":
    """Measure the blocks in turn; each is printed, and written if it shall be, as soon as it is done.

    Raises:
        PersonaplexError: this machine cannot run it.
    """
    setup = _setup(given)
    from benchmarks.model_pair import machine_of
    from benchmarks.ticks.performance_page import write_block
    from benchmarks.ticks.report import TicksReport
    from benchmarks.ticks.setup import say

    command = f"python -m benchmarks {shlex.join(given.words)}"
    report = TicksReport(machine_of(setup.device, setup.dtype), command, date.today().isoformat(), ())
    for name in _blocks(given, setup.on_gpu):
        if setup.time_is_up:
            say(f"No time was left for {name}.")
            continue
        block = await _measured(name, setup)
        report = report.with_block(block)
        say(block.to_text())
        if given.write and not block.failed:
            write_block(PAGE, block, report.caption)
    return report


async def _measured(name: str, setup: "TickSetup") -> "Block":
    """A block that fails is told, so that the others can go on: a GPU may be there for an hour only."""
    from benchmarks.ticks.block import failed_block

    try:
        module: Any = importlib.import_module(f"benchmarks.ticks.blocks.{name}")
        return await module.measure(setup)
    except Exception as error:
        traceback.print_exc()
        return failed_block(name, error)


def _blocks(given: argparse.Namespace, on_gpu: bool) -> list[str]:
    """In the order of ``BLOCKS``."""
    asked: set[str] = set(given.block or (BLOCKS[:-1] if on_gpu else WITHOUT_GPU))
    if "all" in asked:
        asked = set(BLOCKS)
    if given.compare:
        asked.add("reference")
    if not on_gpu and given.size == "7b" and asked - set(WITHOUT_GPU):
        raise PersonaplexError(NEEDS_GPU)
    return [name for name in BLOCKS if name in asked]


def _setup(given: argparse.Namespace) -> "TickSetup":
    import torch

    has_gpu = torch.cuda.is_available()
    if given.device == "cuda" and not has_gpu:
        raise PersonaplexError("PyTorch finds no GPU. Check it with nvidia-smi, or use --device cpu.")
    on_gpu = has_gpu and given.device != "cpu"
    _blocks(given, on_gpu)
    if not on_gpu:
        # Must be set before moshi is imported; its compiler would take half a minute for a first frame.
        os.environ.setdefault("NO_TORCH_COMPILE", "1")
    from benchmarks.random_weights import SIZES as ARGUMENTS
    from benchmarks.ticks.setup import TickSetup

    return TickSetup(
        size=given.size,
        arguments=ARGUMENTS[given.size],
        mimi_config=json.loads(TINY_MIMI.read_text()) if given.size == "tiny" else None,
        device=torch.device("cuda:0" if on_gpu else "cpu"),
        dtype=torch.bfloat16 if on_gpu else torch.float32,
        weights=("bf16", "int8") if given.weights == "both" else (given.weights,),
        kv_int8=given.kv == "int8",
        callers=given.callers,
        frames=given.frames,
        seed=given.seed,
        ends_at=time.monotonic() + 60 * given.minutes,
    )


def _callers(text: str) -> tuple[int, ...]:
    parse = whole(1, 256)
    numbers = tuple(parse(part) for part in text.split(","))
    if list(numbers) != sorted(set(numbers)):
        raise argparse.ArgumentTypeError("must rise, like 1,2,4,8")
    return numbers
