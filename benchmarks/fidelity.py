"""``bench fidelity``: what int8 and bf16 cost, by the acceptance test's own comparison of two models that are
given the same positions.

Torch is imported only here, when the measurement begins: the other commands do not need it."""

import argparse
import os
from pathlib import Path

from benchmarks.fidelity_report import FidelityReport
from benchmarks.options import whole

SUMMARY = "how far int8 and bf16 are from float32, position by position"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--checkpoint", type=Path, help="a folder with a model's files (random weights of about 0.5B)"
    )
    parser.add_argument("--positions", type=whole(2, 3_000), default=200, help="of random tokens (200)")
    parser.add_argument("--seed", type=int, default=1, help="of weights and tokens (1)")


async def measure(given: argparse.Namespace) -> FidelityReport:
    """Each kind in turn, on the CPU. Raises PersonaplexError if the checkpoint cannot be used."""
    os.environ.setdefault("NO_TORCH_COMPILE", "1")  # before moshi is imported
    from benchmarks.fidelity_pairs import measure_fidelity

    return measure_fidelity(given.checkpoint, given.positions, given.seed)
