"""The Triton kernels compiled for GPUs that are not there, with the shapes of the 7B model and of Mimi.

The functions that launch them are called as ever, on empty tensors in host memory, with a driver that only
says which GPU it would be. It takes the place of Triton's own in a process of its own: ``compile_all``.
"""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor

from personaplex_ui.models.personaplex.kernels.ring_layout import RingLayer, turns

ARCHITECTURES = (80, 89, 90)
"""A100; L4 and the RTX 40 series; H100 and H200."""

DIM, HEADS, HEAD_DIM, WINDOW = 4096, 32, 128, 3000
GATE = 11_264
MIMI_HEADS, MIMI_HEAD_DIM, MIMI_WINDOW = 8, 64, 250


@dataclass(frozen=True)
class Compiled:
    """``products``: the instructions by which it multiplies matrices, each once. ``operands``: how a thread's
    numbers of a product lie in memory."""

    architecture: int
    case: str
    kernel: str
    spilled_bytes: int
    registers: int
    shared_bytes: int
    products: list[str]
    operands: list[str]


def compile_all() -> list[Compiled]:
    """All kernels in all variants that a model uses, for all of ``ARCHITECTURES``. Takes some 20 seconds."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"TRITON_CACHE_DIR": folder, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", __name__]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return [Compiled(**compiled) for compiled in json.loads(run.stdout.splitlines()[-1])]


# What is launched -----------------------------------------------------------------------------------------


def half(*shape: int) -> Tensor:
    return torch.empty(shape, dtype=torch.bfloat16)


def norm() -> None:
    from personaplex_ui.models.personaplex.kernels.gpu import norm as kernels

    kernels.rms_norm(half(4, 1, DIM), torch.empty(1, 1, DIM), 1e-8)
    kernels.add_rms_norm(half(4, 1, DIM), half(4, 1, DIM), torch.empty(1, 1, DIM), 1e-8)


def gate() -> None:
    from personaplex_ui.models.personaplex.kernels.gpu import gating as kernels

    kernels.silu_mul(half(4, 1, 2 * GATE))


def linear(rows: int, outputs: int, inputs: int) -> None:
    from personaplex_ui.models.personaplex.kernels.gpu import linear as kernels

    kernels.int8_linear(half(rows, inputs), torch.empty(outputs, inputs, dtype=torch.int8), half(outputs))


def heads() -> None:
    from personaplex_ui.models.personaplex.kernels.gpu import linear as kernels

    kernels.row_linear(half(4, DIM), half(32_000, DIM))


def embeddings() -> None:
    from personaplex_ui.models.personaplex.kernels.gpu import embedding as kernels

    tables = [half(2049, DIM) for _ in range(17)]
    kernels.embed_sum(torch.zeros(4, 17, dtype=torch.int64), tables, None)
    kernels.embed_sum(torch.zeros(4, 1, dtype=torch.int64), tables[:1], half(4, DIM))


def sampling() -> None:
    from personaplex_ui.models.personaplex.kernels.gpu import sampling as kernels

    one = torch.ones(4)
    for card in (2048, 32_000):
        noise = torch.empty(4, 8, card)[:, 1]
        kernels.sample_top_k(half(4, card), noise, one, one.long(), one.bool(), 250)


def ring_layer(rows: int, packed: bool) -> RingLayer:
    shape = (rows, HEADS, WINDOW, HEAD_DIM)
    if not packed:
        return RingLayer(half(*shape), half(*shape))
    keys, values = (torch.empty(shape, dtype=torch.int8) for _ in range(2))
    return RingLayer(keys, values, torch.empty(shape[:3]), torch.empty(shape[:3]))


def ring(packed: bool) -> None:
    from personaplex_ui.models.personaplex.kernels.gpu import attention, rope

    positions, pinned = torch.tensor([[200]]), torch.tensor([123])
    layer, turned = ring_layer(1, packed), turns(positions, HEAD_DIM, 1e4)
    queries = rope.rope_and_store(half(1, 1, 3, HEADS, HEAD_DIM), turned, turned, layer, positions)
    attention.ring_attention(queries[0], queries[1], layer, positions, pinned)


def captions() -> None:
    """Kyutai's STT: 32 codebooks and the text, a shorter window without pins, fewer text tokens."""
    from personaplex_ui.models.personaplex.kernels.gpu import attention, embedding, rope
    from personaplex_ui.models.personaplex.kernels.gpu import linear as kernels

    dim, heads, window = 2048, 16, 750
    tables = [half(2049, dim) for _ in range(33)]
    embedding.embed_sum(torch.zeros(4, 33, dtype=torch.int64), tables, None)
    positions = torch.zeros(4, 1, dtype=torch.int64)
    keys, values = half(2, 4, heads, window, HEAD_DIM)
    layer, turned = RingLayer(keys, values), turns(positions, HEAD_DIM, 1e5)
    queries = rope.rope_and_store(half(4, 1, 3, heads, HEAD_DIM), turned, None, layer, positions)
    attention.ring_attention(queries[0], None, layer, positions, positions[:, 0])
    kernels.row_linear(half(4, dim), half(8_000, dim))


def mimi_ring() -> None:
    """In float32 and without pins."""
    from personaplex_ui.models.personaplex.kernels.gpu import attention, rope

    positions = torch.arange(2).expand(4, 2)
    keys, values = torch.empty(2, 4, MIMI_HEADS, MIMI_WINDOW, MIMI_HEAD_DIM)
    layer, turned = RingLayer(keys, values), turns(positions, MIMI_HEAD_DIM, 1e4)
    qkv = torch.empty(4, 2, 3, MIMI_HEADS, MIMI_HEAD_DIM)
    queries = rope.rope_and_store(qkv, turned, None, layer, positions)
    attention.ring_attention(queries[0], None, layer, positions, torch.zeros(4, dtype=torch.int64))


def mimi_convolutions() -> None:
    """The first, one in a residual block, one with a longer stride after it, and the downsampling."""
    from personaplex_ui.models.personaplex.kernels.gpu import windows as kernels

    for t, channels, kernel, stride, adds, starts, alpha in (
        (1920, 1, 7, 1, False, False, None),
        (1920, 64, 3, 1, False, False, 1.0),
        (16, 512, 16, 8, True, False, 1.0),
        (2, 512, 4, 2, False, True, None),
    ):
        x, added = torch.empty(2, 4, t, channels)
        before, after = torch.empty(2, 4, 50_000)[:, :, : (kernel - stride) * channels].unflatten(
            2, (kernel - stride, channels)
        )
        start = torch.zeros(4, 2, dtype=torch.int64)[:, :1] if starts else None
        kernels.windows(x, added if adds else None, before, after, start, kernel, stride, 1, alpha)


def mimi_rows() -> None:
    from personaplex_ui.models.personaplex.kernels.gpu import codebook, layer_norm

    x, update, scale = torch.empty(8, 512), torch.empty(8, 512), torch.empty(512)
    layer_norm.add_layer_norm(x, update, scale, scale, scale, 1e-5)
    codes = torch.empty(4, 8, dtype=torch.int64)[:, 1]
    codebook.take_best(torch.empty(4, 2048), torch.empty(4, 512)[:, 256:], torch.empty(2048, 256), codes)


def too_wide() -> None:
    """What must spill: blocks of float32 as long as those of the smaller dtypes."""
    from personaplex_ui.models.personaplex.kernels.gpu import linear as kernels

    kernels.BLOCK_IN_FLOAT32 = kernels.BLOCK_IN
    kernels.int8_linear(torch.empty(4, DIM), torch.empty(DIM, DIM, dtype=torch.int8), torch.empty(DIM))


def depth() -> None:
    from personaplex_ui.models.personaplex.kernels.gpu import step_attention as kernels

    for step in (0, 1, 7):  # of which none is compiled by itself
        kernels.step_attention(half(4, 3, 16, 64), half(6, 2, 16, 8, 64)[:4], step)


CASES: dict[str, Callable[[], None]] = {
    "norm": norm,
    "gate": gate,
    "few rows": lambda: linear(4, 3 * DIM, DIM),
    "few rows, few outputs": lambda: linear(4, 1024, 2816),
    "many rows": lambda: linear(32, 3 * DIM, DIM),
    "heads": heads,
    "embeddings": embeddings,
    "sampling": sampling,
    "a tick": lambda: ring(packed=False),
    "a tick, int8": lambda: ring(packed=True),
    "depth": depth,
    "captions": captions,
    "Mimi": mimi_ring,
    "Mimi's convolutions": mimi_convolutions,
    "Mimi's rows": mimi_rows,
}
MUST_SPILL = "too wide"


# How it is compiled ---------------------------------------------------------------------------------------


class PretendedDriver:
    def __init__(self, architecture: int) -> None:
        from triton.backends.compiler import GPUTarget

        self._architecture = architecture
        self._target = GPUTarget("cuda", architecture, 32)

    def get_current_device(self) -> int:
        return self._architecture  # what is compiled is kept for each device

    def get_current_stream(self, device: int) -> int:
        return 0

    def get_current_target(self) -> object:
        return self._target


class Compiler:
    """Compiles what is launched, and keeps what is told of it."""

    def __init__(self) -> None:
        from triton import knobs
        from triton.runtime.jit import KernelInterface

        self.found: list[Compiled] = []
        knobs.nvidia.dump_ptxas_log = True

        def instead_of_launching(kernel: Any, grid: object) -> Callable[..., None]:
            return partial(self._compile, kernel, grid)

        cast(Any, KernelInterface).__getitem__ = instead_of_launching

    def run(self, architecture: int, case: str, launch: Callable[[], None]) -> None:
        from triton.runtime import driver

        set_active: Any = driver.set_active
        set_active(PretendedDriver(architecture))
        self._architecture, self._case = architecture, case
        launch()

    def _compile(self, kernel: Any, grid: object, *args: object, **options: object) -> None:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            built = kernel.warmup(*args, grid=grid, **options)
        if printed.getvalue():  # else it is there already
            self.found.append(self._read(kernel.fn.__name__, built, printed.getvalue()))

    def _read(self, kernel: str, built: Any, assembler: str) -> Compiled:
        return Compiled(
            self._architecture,
            self._case,
            kernel,
            sum(int(found) for found in re.findall(r"(\d+) bytes spill", assembler)),
            int(re.findall(r"Used (\d+) registers", assembler)[0]),
            built.metadata.shared,
            sorted(set(re.findall(r"\b(?:wg)?mma[a-z_.]*\.[a-z0-9_.]+", built.asm["ptx"]))),
            sorted(set(re.findall(r"kWidth = \d+", built.asm["ttgir"]))),
        )


def _main() -> None:
    compiler = Compiler()
    for architecture in ARCHITECTURES:
        for case, launch in CASES.items():
            compiler.run(architecture, case, launch)
    compiler.run(ARCHITECTURES[0], MUST_SPILL, too_wide)
    print(json.dumps([asdict(compiled) for compiled in compiler.found]))


if __name__ == "__main__":
    _main()
