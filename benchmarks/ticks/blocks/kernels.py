"""The fused kernels one by one: right or wrong in the model's dtype, and how fast they read memory."""

from collections.abc import Callable, Iterator
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import Linear, Module
from torch.nn.functional import linear

from benchmarks.ticks.bandwidth import copy_bandwidth, seconds_each
from benchmarks.ticks.block import Block, Cell
from benchmarks.ticks.setup import TickSetup, say
from personaplex_ui.models.personaplex.kernels.int8_linear import int8_linear, int8_linear_twin
from personaplex_ui.models.personaplex.kernels.ring import RingLayer, RingPositions, ring_attention
from personaplex_ui.models.personaplex.loading.checkpoint import empty_language_model
from personaplex_ui.models.personaplex.loading.int8 import QUANTIZED, quantize
from personaplex_ui.models.personaplex.loading.model_sizes import Sizes

CHECKED_ROWS = (*range(1, 17), 32)
TIMED_ROWS = (1, 4, 16, 64)
CACHE_BYTES = 1 << 28
"""More than any cache holds: weights are used in turn until as much has been read."""

CACHE_BYTES_ON_A_CPU = 1 << 24


async def measure(setup: TickSetup) -> Block:
    copy = copy_bandwidth(setup.device)
    rows: list[tuple[Cell, ...]] = []
    notes = [f"A plain copy reads and writes {copy / 1e9:,.0f} GB/s."]
    for shape in linear_shapes(setup.arguments):
        say(f"int8_linear {shape} ...")
        rows += _int8_rows(shape, setup, copy)
        error = _int8_error(shape, setup)
        notes.append(f"int8_linear {shape[0]} x {shape[1]}, 1 to 16 and 32 rows: {error:.1e} off.")
    for kv_int8 in (False, True):
        for callers in TIMED_ROWS:
            rows.append(_attention_row(callers, kv_int8, setup, copy))
    notes.append("Off: the norm of the difference from the plain computation in float32, over its norm.")
    columns = ("kernel", "rows", "us", "GB/s", "of a copy", "bf16 linear us")
    return Block("kernels", columns, tuple(rows), tuple(notes))


def linear_shapes(arguments: dict[str, Any]) -> list[tuple[int, int]]:
    """``[out, in]`` of all layers that are quantized, each once, the largest first."""
    model = empty_language_model(Sizes(arguments).moshi_arguments(), torch.bfloat16)
    named = cast(Iterator[tuple[str, Module]], model.named_modules())
    shapes = {
        (module.out_features, module.in_features)
        for name, module in named
        if isinstance(module, Linear) and name.startswith(QUANTIZED)
    }
    return sorted(shapes, key=lambda shape: shape[0] * shape[1], reverse=True)


def _random(setup: TickSetup, *shape: int) -> Tensor:
    draw = torch.Generator(setup.device).manual_seed(setup.seed)
    return torch.randn(*shape, generator=draw, device=setup.device)


def _int8_error(shape: tuple[int, int], setup: TickSetup) -> float:
    """The worst of all row counts."""
    weight, scale = quantize(_random(setup, *shape), setup.dtype)
    worst = 0.0
    for rows in CHECKED_ROWS:
        x = _random(setup, rows, shape[1]).to(setup.dtype)
        wanted = int8_linear_twin(x.float(), weight, scale.float())
        given = int8_linear(x, weight, scale).float()
        off = torch.dist(given, wanted) / torch.dist(wanted, torch.zeros_like(wanted))
        worst = max(worst, off.item())
    return worst


def _int8_rows(shape: tuple[int, int], setup: TickSetup, copy: float) -> list[tuple[Cell, ...]]:
    weight, scale = quantize(_random(setup, *shape), setup.dtype)
    copies = max(1, -(-(CACHE_BYTES if setup.on_gpu else CACHE_BYTES_ON_A_CPU) // weight.nbytes))
    weights = [weight.clone() for _ in range(copies)]
    wide = [weight.to(setup.dtype) for _ in range(-(-copies // setup.dtype.itemsize))]
    rows: list[tuple[Cell, ...]] = []
    for count in TIMED_ROWS:
        x = _random(setup, count, shape[1]).to(setup.dtype)
        seconds = _in_turn(lambda one, x=x: int8_linear(x, one, scale), weights, setup)
        plain = _in_turn(lambda one, x=x: linear(x, one), wide, setup)
        speed = weight.nbytes / seconds
        name = f"int8_linear {shape[0]} x {shape[1]}"
        rows.append((name, count, 1e6 * seconds, speed / 1e9, f"{speed / copy:.0%}", 1e6 * plain))
    return rows


def _in_turn(use: Callable[[Tensor], object], tensors: list[Tensor], setup: TickSetup) -> float:
    """Seconds of one use."""

    def use_all() -> None:
        for tensor in tensors:
            use(tensor)

    return seconds_each(use_all, setup.device, 4 if setup.on_gpu else 1) / len(tensors)


def _attention_row(callers: int, kv_int8: bool, setup: TickSetup, copy: float) -> tuple[Cell, ...]:
    """At full window, past it, without pinned places."""
    arguments = setup.arguments
    heads, window = arguments["num_heads"], arguments["context"]
    head_dim = arguments["dim"] // heads
    shape = callers, heads, window, head_dim
    numbers = [_random(setup, *shape).to(setup.dtype) for _ in range(2)]
    scales: list[Tensor | None] = [None, None]
    if kv_int8:
        numbers = [(20 * one).clamp(-127, 127).to(torch.int8) for one in numbers]
        scales = [torch.full(shape[:3], 0.05, device=setup.device) for _ in range(2)]
    layer = RingLayer(numbers[0], numbers[1], scales[0], scales[1])
    positions = torch.full((callers, 1), 2 * window, dtype=torch.long, device=setup.device)
    ring = RingPositions(positions, torch.zeros(callers, dtype=torch.long, device=setup.device), window)
    q = _random(setup, callers, heads, 1, head_dim).to(setup.dtype)
    seconds = seconds_each(lambda: ring_attention(q, q, layer, ring), setup.device, 20 if setup.on_gpu else 1)
    read = sum(one.nbytes for one in (*numbers, *scales) if one is not None)
    name = f"ring_attention, {window:,} places{', int8' if kv_int8 else ''}"
    return name, callers, 1e6 * seconds, read / seconds / 1e9, f"{read / seconds / copy:.0%}", None
