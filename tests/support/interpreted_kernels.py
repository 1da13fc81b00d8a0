"""The Triton kernels beside their plain PyTorch, in Triton's interpreter, which needs no GPU.

It must be chosen before Triton is imported, so the cases run in a process of their own: ``run_all``. Its
``tl.dot`` is wrong in bfloat16 (Triton 3.5), so they run in float32 and float16.
"""

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import cast

import torch
from torch import Tensor

from personaplex_ui.models.personaplex.kernels import (
    codebook,
    embedding,
    gating,
    int8_linear,
    layer_norm,
    norm,
    ring_twin,
    row_linear,
    sampling,
    step_attention,
    windows,
)
from personaplex_ui.models.personaplex.kernels.ring_layout import (
    RingLayer,
    RingPositions,
    place_of,
    turns,
)

DTYPES = (torch.float32, torch.float16)
WITHIN = {torch.float32: 2e-6, torch.float16: 1e-3}
EPS, PERIOD = 1e-8, 10_000.0


def drawn(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape))).to(dtype)


def numbers(*shape: int) -> Tensor:
    draw = torch.Generator().manual_seed(sum(shape))
    return torch.randint(-127, 128, shape, generator=draw, dtype=torch.int8)


def agree(given: Tensor, wanted: Tensor, dtype: torch.dtype | None = None) -> None:
    assert (given.dtype, given.shape) == (wanted.dtype, wanted.shape)
    error = torch.dist(given.double(), wanted.double())
    assert error <= WITHIN[dtype or wanted.dtype] * wanted.double().norm(), f"off by {error}"


# Rows -----------------------------------------------------------------------------------------------------


def norms(dtype: torch.dtype) -> None:
    from personaplex_ui.models.personaplex.kernels.gpu import norm as kernels

    for shape in ((1, 1, 88), (3, 2, 1000), (1, 32)):
        x, added = drawn(*shape, dtype=dtype), drawn(*shape, dtype=dtype, seed=1)
        for alpha in (drawn(shape[-1], seed=2), drawn(1, 1, shape[-1], dtype=dtype, seed=2)):
            agree(kernels.rms_norm(x, alpha, EPS), norm.rms_norm(x, alpha, EPS))
            given = kernels.add_rms_norm(x, added, alpha, EPS)
            agree(given[0], x + added)
            agree(given[1], norm.rms_norm(x + added, alpha, EPS))


def gates(dtype: torch.dtype) -> None:
    from personaplex_ui.models.personaplex.kernels.gpu import gating as kernels

    for shape in ((1, 1, 2), (3, 2, 90), (2, 1, 2600)):
        x = drawn(*shape, dtype=dtype) * 5
        agree(kernels.silu_mul(x), gating.silu_mul(x))
    apart = drawn(6, 40, dtype=dtype).t()
    agree(kernels.silu_mul(apart), gating.silu_mul(apart))


# Layers ---------------------------------------------------------------------------------------------------


def layers(dtype: torch.dtype) -> None:
    """Of int8 and not. Odd sizes, and those of a whole number of blocks; 1 to 16 rows, and more."""
    from personaplex_ui.models.personaplex.kernels.gpu import linear as kernels

    counts = (*range(1, 17), 17, 32, 33)
    sizes = [(rows, 20, 40) for rows in counts] + [(5, 17, 300), (16, 16, 256), (17, 2060, 24)]
    for rows, outputs, inputs in sizes:
        x, weight = drawn(rows, 1, inputs, dtype=dtype), numbers(outputs, inputs)
        scale = (drawn(outputs).abs() / 100).to(dtype)
        agree(kernels.int8_linear(x, weight, scale), int8_linear.plain_linear(x, weight, scale))
    for rows, outputs, inputs in ((1, 20, 40), (17, 33, 136)):
        x, weight = drawn(rows, 1, inputs, dtype=dtype), drawn(outputs, inputs, dtype=dtype)
        agree(kernels.row_linear(x, weight), row_linear.row_linear(x, weight))


def layers_row_by_row(dtype: torch.dtype) -> None:
    """Bit for bit: a row's answer does not depend on the others."""
    from personaplex_ui.models.personaplex.kernels.gpu import linear as kernels

    x, weight, scale = drawn(16, 200, dtype=dtype), numbers(48, 200), drawn(48, dtype=dtype)
    together = kernels.int8_linear(x, weight, scale)
    for rows in (1, 2, 7, 15):
        assert torch.equal(kernels.int8_linear(x[:rows], weight, scale), together[:rows])


# Tokens -------------------------------------------------------------------------------------------------


def embeddings(dtype: torch.dtype) -> None:
    """Several, and one alone."""
    from personaplex_ui.models.personaplex.kernels.gpu import embedding as kernels

    tables = [drawn(5 + number, 1030, dtype=dtype) for number in range(4)]
    tokens = torch.tensor([[4, 5, 6, 0], [3, 3, 3, 3], [0, 1, 2, 7]])
    for count, added in ((4, None), (4, drawn(3, 1030, dtype=dtype)), (1, drawn(3, 1030, dtype=dtype))):
        some, known = tables[:count], tokens[:, :count]
        assert torch.equal(kernels.embed_sum(known, some, added), embedding.embed_sum(known, some, added))


def draws(dtype: torch.dtype) -> None:
    """Of more than one part; fewer tokens than candidates; below and above zero, and all different."""
    from personaplex_ui.models.personaplex.kernels.gpu import sampling as kernels

    top_k = torch.tensor([1, 7, 250, 9999, 20])
    temperature, greedy = torch.tensor([0.2, 0.7, 1.0, 3.0, 0.5]), torch.arange(5) == 4
    for card, largest_k in ((100, 50), (2001, 250), *([(9000, 25)] if dtype == torch.float32 else [])):
        logits = ((drawn(5, card).argsort().argsort() - card // 2) / 256).to(dtype)
        for seed in range(2):
            noise = torch.empty(5, 2, card).exponential_(generator=torch.Generator().manual_seed(seed))[:, 1]
            settings = (noise, temperature, top_k, greedy, largest_k)
            given = kernels.sample_top_k(logits, *settings)
            assert given.tolist() == sampling.sample_top_k(logits, *settings).tolist()


def draws_of_equals(dtype: torch.dtype) -> None:
    """What is equal to the last candidate is one too; the greedy take the first of the best."""
    from personaplex_ui.models.personaplex.kernels.gpu import sampling as kernels

    logits = torch.tensor([[2.0, 1.0, 1.0, 0.0, 1.0, 2.0]], dtype=dtype).expand(6, 6)
    noise = torch.ones(6, 6) - 0.99 * torch.eye(6)
    one = torch.ones(6)
    for greedy, drawn in ((False, [0, 1, 2, 0, 4, 5]), (True, [0] * 6)):
        settings = (noise, one, 3 * one.long(), torch.full((6,), greedy), 5)
        assert kernels.sample_top_k(logits, *settings).tolist() == drawn


# Steps ----------------------------------------------------------------------------------------------------


def steps(dtype: torch.dtype) -> None:
    """One step after the other, each seeing what those before it have written."""
    from personaplex_ui.models.personaplex.kernels.gpu import step_attention as kernels

    for rows, heads, head_dim in ((1, 2, 16), (3, 1, 24)):
        ours = drawn(rows + 1, 2, heads, 5, head_dim, dtype=dtype)[1:]
        theirs = ours.clone()
        for step in range(5):
            qkv = drawn(rows, 3, heads, head_dim, dtype=dtype, seed=step)
            given = kernels.step_attention(qkv, ours, step)
            agree(given, step_attention.step_attention(qkv, theirs, step))
            assert torch.equal(ours, theirs)


# Rings ----------------------------------------------------------------------------------------------------


def full_ring(rows: int, heads: int, window: int, head_dim: int, dtype: torch.dtype | None) -> RingLayer:
    """A ring of which each place holds something; of int8 if ``dtype`` is None. Other rows are around it."""
    shape = (2, rows + 2, heads, window, head_dim)
    if dtype is not None:
        keys, values = drawn(*shape, dtype=dtype)[:, 1:-1]
        return RingLayer(keys, values)
    keys, values = numbers(*shape)[:, 1:-1]
    key_scales, value_scales = (drawn(*shape[:-1]).abs() / 60)[:, 1:-1]
    return RingLayer(keys, values, key_scales, value_scales)


def copied(layer: RingLayer) -> RingLayer:
    scales = (s if s is None else s.clone() for s in (layer.key_scales, layer.value_scales))
    return RingLayer(
        layer.keys.clone(), layer.values.clone(), *(s if s is None else s.clone() for s in scales)
    )


Shape = tuple[int, int, int, int, list[int], list[int]]

RINGS: dict[str, Shape] = {
    # t, heads, window, head_dim, last positions, pinned positions
    "first position": (1, 2, 50, 16, [0, 0], [0, 5]),
    "short and full": (1, 1, 50, 16, [7, 49, 31], [0, 0, 13]),
    "wrapped": (1, 1, 50, 16, [50, 331, 120], [0, 49, 13]),
    "of many stretches": (1, 1, 520, 16, [256, 1777], [300, 40]),
    "two positions": (2, 1, 70, 16, [1, 69, 71, 777], [0, 0, 9, 33]),
    "a prompt": (17, 1, 64, 16, [70], [3]),
    "no power of two": (1, 2, 9, 24, [4, 30], [0, 2]),
}


def positions_of(shape: Shape) -> tuple[Tensor, Tensor]:
    last, pinned = torch.tensor(shape[4]), torch.tensor(shape[5])
    return last[:, None] - shape[0] + 1 + torch.arange(shape[0]), pinned


def turning(dtype: torch.dtype, shape: Shape, packed: bool) -> None:
    """The queries that are returned, and all that is in the rings afterwards."""
    from personaplex_ui.models.personaplex.kernels.gpu import rope as kernels

    t, heads, window, head_dim, *_ = shape
    positions, pinned = positions_of(shape)
    qkv = drawn(len(positions), t, 3, heads, head_dim, dtype=dtype)
    qkv[0, 0, 1:, 0] = 0
    places = place_of(positions, pinned[:, None], window)
    whole = turns(positions, head_dim, PERIOD)
    seen = turns(positions.clamp(max=window - 1), head_dim, PERIOD)
    ours = full_ring(len(positions), heads, window, head_dim, None if packed else dtype)
    theirs = copied(ours)
    queries = kernels.rope_and_store(qkv, whole, seen, ours, places)
    wanted = ring_twin.rope_and_store(qkv, whole, seen, theirs, places)
    agree(queries[0], wanted[0])
    agree(queries[1], wanted[1])
    for given, expected in zip((ours.keys, ours.values), (theirs.keys, theirs.values), strict=True):
        agree(given, expected, dtype)
    if packed:
        assert ours.key_scales is not None
        assert ours.value_scales is not None
        agree(ours.key_scales, cast(Tensor, theirs.key_scales))
        agree(ours.value_scales, cast(Tensor, theirs.value_scales))


def turning_without_pins(dtype: torch.dtype) -> None:
    from personaplex_ui.models.personaplex.kernels.gpu import rope as kernels

    positions, qkv = torch.tensor([[3], [70]]), drawn(2, 1, 3, 2, 16, dtype=dtype)
    layer, whole = full_ring(2, 2, 50, 16, dtype), turns(positions, 16, PERIOD)
    queries = kernels.rope_and_store(qkv, whole, None, layer, positions % 50)
    wanted = ring_twin.rope_and_store(qkv, whole, None, copied(layer), positions % 50)
    assert len(queries) == 1
    agree(queries[0], wanted[0])


def attention(dtype: torch.dtype, shape: Shape, packed: bool) -> None:
    from personaplex_ui.models.personaplex.kernels.gpu import attention as kernels

    t, heads, window, head_dim, *_ = shape
    positions, pinned = positions_of(shape)
    q, other = drawn(2, len(positions), heads, t, head_dim, dtype=dtype)
    layer = full_ring(len(positions), heads, window, head_dim, None if packed else dtype)
    ring = RingPositions(positions, pinned, window)
    # Rows that have not wrapped are given the same query twice, as there the two are turned alike.
    other = torch.where((positions[:, -1] < window)[:, None, None, None], q, other)
    given = kernels.ring_attention(q, other, layer, positions, pinned)
    wanted = ring_twin.ring_attention(q.float(), other.float(), layer, ring)
    agree(given, wanted.to(dtype))


def attention_without_pins(dtype: torch.dtype) -> None:
    """Where no pinned query is given, pins still say which place holds which position."""
    from personaplex_ui.models.personaplex.kernels.gpu import attention as kernels

    positions, pinned = positions_of((2, 1, 40, 16, [50, 91], [0, 7]))
    q, layer = drawn(2, 1, 2, 16, dtype=dtype), full_ring(2, 1, 40, 16, dtype)
    given = kernels.ring_attention(q, None, layer, positions, pinned)
    agree(given, ring_twin.ring_attention(q, q, layer, RingPositions(positions, pinned, 40)))


def attention_row_by_row(dtype: torch.dtype) -> None:
    """Bit for bit: neither the other rows change a row's answer, nor pins before the ring has wrapped."""
    from personaplex_ui.models.personaplex.kernels.gpu import attention as kernels

    positions, pinned = positions_of((1, 1, 100, 16, [40, 99, 900], [0, 33, 33]))
    q, other = drawn(2, 3, 1, 1, 16, dtype=dtype)
    other[:2] = q[:2]
    layer = full_ring(3, 1, 100, 16, dtype)
    together = kernels.ring_attention(q, other, layer, positions, pinned)
    for at in (slice(0, 1), slice(1, 2), slice(2, 3)):
        one = RingLayer(layer.keys[at], layer.values[at])
        given = kernels.ring_attention(q[at], other[at], one, positions[at], pinned[at])
        assert torch.equal(given, together[at])
    plain = kernels.ring_attention(q, None, layer, positions, torch.zeros_like(pinned))
    assert torch.equal(plain[:2], together[:2])
    assert not torch.equal(plain[2], together[2])


def a_wrong_answer(dtype: torch.dtype) -> None:
    """What must fail: a ring whose last position is one further than it is."""
    from personaplex_ui.models.personaplex.kernels.gpu import attention as kernels

    positions, pinned = torch.tensor([[40]]), torch.tensor([0])
    q, layer = drawn(1, 2, 1, 16, dtype=dtype), full_ring(1, 2, 50, 16, dtype)
    wanted = ring_twin.ring_attention(q, q, layer, RingPositions(positions, pinned, 50))
    agree(kernels.ring_attention(q, None, layer, positions + 1, pinned), wanted)


# Mimi -----------------------------------------------------------------------------------------------------


def convolution_windows() -> None:
    """Frames shorter and longer than what is remembered, in rows that lie apart."""
    from personaplex_ui.models.personaplex.kernels.gpu import windows as kernels

    shapes = [(7, 1, 1, 1, 20), (3, 1, 1, 5, 40), (3, 1, 4, 20, 5), (16, 8, 1, 70, 16), (4, 2, 1, 130, 2)]
    for shape, adds, starts in product(shapes, (False, True), (False, True)):
        kernel, stride, dilation, channels, t = shape
        past = (kernel - 1) * dilation + 1 - stride
        x = drawn(3, t + 3, channels)[:, 1 : 1 + t]
        added = drawn(3, t, channels, seed=1) if adds else None
        apart = drawn(2, 3, past * channels + 9, seed=2)[:, :, 4 : 4 + past * channels]
        before, after = apart.unflatten(2, (past, channels)).unbind(0)
        start = torch.tensor([[0, 1], [2, 0], [0, 2]])[:, :1] if starts else None
        options = kernel, stride, dilation, 0.7 if adds else None
        theirs = after.clone()
        given = kernels.windows(x, added, before, after, start, *options)
        agree(given, windows.windows_twin(x, added, before, theirs, start, *options))
        agree(after, theirs)


def layer_norms() -> None:
    from personaplex_ui.models.personaplex.kernels.gpu import layer_norm as kernels

    for shape in ((2, 512), (3, 40)):
        x, update = drawn(2, *shape)
        scale, weight, bias = drawn(3, shape[1])
        for factors in (scale, None):
            ours, theirs = x + 30, x + 30
            given = kernels.add_layer_norm(ours, update, factors, weight, bias, 1e-5)
            wanted = layer_norm.add_layer_norm(theirs, update, factors, weight, bias, 1e-5)
            agree(given, wanted, torch.float16)  # 30 takes some digits away
            agree(ours, theirs)


def codebooks() -> None:
    """The best score stands first, last, or twice."""
    from personaplex_ui.models.personaplex.kernels.gpu import codebook as kernels

    scores, x, entries = drawn(4, 300), drawn(4, 2, 24)[:, 1], drawn(300, 24)
    scores[0, 0], scores[1, 299] = 9, 9
    scores[2, [17, 170]] = 9
    ours, theirs = torch.zeros(2, 4, 3, dtype=torch.int64)[:, :, 1]
    agree(kernels.take_best(scores, x, entries, ours), codebook.take_best(scores, x, entries, theirs))
    assert torch.equal(ours, theirs)
    assert ours[:3].tolist() == [0, 299, 17]


# All of them ----------------------------------------------------------------------------------------------

MUST_FAIL = "a wrong answer"


def _cases(dtype: torch.dtype) -> Iterator[tuple[str, Callable[[], None]]]:
    plain = {
        "norms": norms,
        "gates": gates,
        "layers": layers,
        "layers row by row": layers_row_by_row,
        "embeddings": embeddings,
        "draws": draws,
        "draws of equals": draws_of_equals,
        "steps": steps,
        "turning without pins": turning_without_pins,
        "attention without pins": attention_without_pins,
        "attention row by row": attention_row_by_row,
        MUST_FAIL: a_wrong_answer,
    }
    for name, case in plain.items():
        yield f"{name} {dtype}", partial(case, dtype)
    for (name, shape), packed in product(RINGS.items(), (False, True)):
        told = f"{name}{' int8' if packed else ''} {dtype}"
        yield f"turning {told}", partial(turning, dtype, shape, packed)
        yield f"attention {told}", partial(attention, dtype, shape, packed)


CASES: dict[str, Callable[[], None]] = {
    "Mimi's windows": convolution_windows,
    "Mimi's layer norms": layer_norms,
    "Mimi's codebooks": codebooks,
} | {name: case for dtype in DTYPES for name, case in _cases(dtype)}


def run_all() -> dict[str, str]:
    """What each of the cases raised, or nothing, by its name. Takes some seconds."""
    environment = os.environ | {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [sys.executable, "-m", __name__], env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def _raised(case: Callable[[], None]) -> str:
    try:
        case()
    except Exception:
        return traceback.format_exc()
    return ""


if __name__ == "__main__":
    print(json.dumps({name: _raised(case) for name, case in CASES.items()}))
