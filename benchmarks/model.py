"""``bench model``: PersonaPlex with random weights, compared with the reference implementation on the same
weights.

Torch is imported only here, when the measurement begins: the other commands do not need it.
"""

import argparse
import os

from benchmarks.model_report import ModelReport
from benchmarks.options import whole
from personaplex_ui.errors import PersonaplexError

SUMMARY = "PersonaPlex itself, with random weights, beside the reference's way of running it"

NEEDS_GPU = (
    "The 7B sizes need a GPU with 24 GB of memory. Use --device cuda on a machine that has one, "
    "or --size small, which runs anywhere."
)
DTYPES = ("auto", "float32", "bfloat16")
MOST_CALLERS = 64


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--size", choices=("small", "7b"), default="small", help="0.6B, or as released")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--dtype", choices=DTYPES, default="auto", help="auto: as the app chooses")
    parser.add_argument(
        "--frames", type=whole(1, 10_000), default=12, help="measured of each kind, at least (12)"
    )
    parser.add_argument(
        "--callers", type=_callers, default=(1, 2, 4, 8), help="numbers of callers, the first 1 (1,2,4,8)"
    )
    parser.add_argument("--threads", type=whole(1, 1_024), help="of torch on a CPU (its own choice)")
    parser.add_argument("--seed", type=int, default=1, help="of weights, sound and tokens (1)")


async def measure(given: argparse.Namespace) -> ModelReport:
    """Build both models and measure them in turn. Nothing else runs in this loop meanwhile.

    Raises:
        PersonaplexError: this machine cannot run it.
    """
    import torch

    has_gpu = torch.cuda.is_available()
    if given.device == "cuda" and not has_gpu:
        raise PersonaplexError("PyTorch finds no GPU. Check it with nvidia-smi, or use --device cpu.")
    device = torch.device("cuda:0" if has_gpu and given.device != "cpu" else "cpu")
    if given.size == "7b" and device.type != "cuda":
        raise PersonaplexError(NEEDS_GPU)
    if device.type == "cpu":
        # Must be set before moshi is imported; its compiler would take half a minute for a first frame.
        os.environ.setdefault("NO_TORCH_COMPILE", "1")
    if given.threads is not None:
        torch.set_num_threads(given.threads)
    from benchmarks.random_weights import SIZES
    from benchmarks.side_by_side import Setup, measure_model

    automatic = torch.bfloat16 if device.type == "cuda" else torch.float32
    dtype = automatic if given.dtype == "auto" else getattr(torch, given.dtype)
    return measure_model(
        Setup(given.size, SIZES[given.size], device, dtype, given.frames, given.callers, given.seed)
    )


def _callers(text: str) -> tuple[int, ...]:
    parse = whole(1, MOST_CALLERS)
    numbers = tuple(parse(part) for part in text.split(","))
    if numbers[0] != 1 or list(numbers) != sorted(set(numbers)):
        raise argparse.ArgumentTypeError("must begin with 1 and rise, like 1,2,4,8")
    return numbers
