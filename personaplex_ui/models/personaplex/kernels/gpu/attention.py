# pyright: basic, reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false
# Triton's language is Python for the parser only.
"""Attention over a ring: a program for each stretch of a head's places, and a second kernel that joins them.

How far a row is filled is read on the device: one launch serves calls of any length, and a stretch beyond a
row's end reads nothing. The stretches are fixed by the window alone, and no row's sum touches another row's.
"""

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from personaplex_ui.models.personaplex.kernels.ring_layout import RingLayer

QUERIES = 16
"""Positions of a row in one tile: the fewest of a tensor core. A tick has one or two of them; without tensor
cores, in float32, the others are left out."""

BLOCK_NUMBERS = 4096
"""Numbers of a block of keys. Float32 takes half as many, as it is multiplied without tensor cores."""

STRETCH = tl.constexpr(256)
"""Places that one program looks at."""


@triton.jit
def _see(
    top, total, seen, q, q_pinned, keys, values, key_scales, value_scales, start, end, pinned, ahead,
    cursor, around, position, scale, DIM: tl.constexpr, BLOCK: tl.constexpr, PINNED: tl.constexpr,
    PACKED: tl.constexpr,
):  # fmt: skip
    """The softmax so far and a block more: ``top`` the largest score (of 2's powers), ``total`` the sum of
    weights, ``seen`` the weighted values."""
    place = start + tl.arange(0, BLOCK)
    number = tl.arange(0, seen.shape[1])
    filled = place < end
    inside = filled[:, None] & (number < DIM)[None, :]
    at = place[:, None] * DIM + number[None, :]
    key = tl.trans(tl.load(keys + at, mask=inside, other=0)).to(q.dtype)
    scores = tl.dot(q, key, input_precision="ieee")
    if PINNED:
        others = tl.dot(q_pinned, key, input_precision="ieee")
        scores = tl.where((place < pinned)[None, :], others, scores)
    if PACKED:
        scores *= tl.load(key_scales + place, mask=filled, other=0)[None, :]
    # The ring was last written at the cursor; places after it have been there once round before.
    newest = tl.where(place < pinned, place, place + ahead - tl.where(place > cursor, around, 0))
    visible = filled[None, :] & (newest[None, :] <= position[:, None])
    scores = tl.where(visible, scores * scale, -float("inf"))

    new_top = tl.maximum(top, tl.max(scores, 1))
    base = tl.where(new_top == -float("inf"), 0.0, new_top)
    weights = tl.exp2(scores - base[:, None])
    fading = tl.exp2(top - base)
    total = total * fading + tl.sum(weights, 1)
    if PACKED:
        weights *= tl.load(value_scales + place, mask=filled, other=0)[None, :]
    value = tl.load(values + at, mask=inside, other=0).to(q.dtype)
    seen = tl.dot(weights.to(q.dtype), value, seen * fading[:, None], input_precision="ieee")
    return new_top, total, seen


@triton.jit
def _see_stretch(
    q, q_pinned, keys, values, key_scales, value_scales, first, end, pinned, ahead, cursor, around, position,
    scale, DIM: tl.constexpr, BLOCK: tl.constexpr, PINNED: tl.constexpr, PACKED: tl.constexpr,
):  # fmt: skip
    top = tl.full((q.shape[0],), -float("inf"), tl.float32)
    total = tl.zeros((q.shape[0],), tl.float32)
    seen = tl.zeros(q.shape, tl.float32)
    plain = first
    if PINNED:
        # The blocks are the same as without pins, so that these change nothing before the ring has wrapped.
        plain += tl.cdiv(tl.maximum(tl.minimum(pinned, end) - first, 0), BLOCK) * BLOCK
        for start in range(first, plain, BLOCK):
            top, total, seen = _see(
                top, total, seen, q, q_pinned, keys, values, key_scales, value_scales, start, end, pinned,
                ahead, cursor, around, position, scale, DIM, BLOCK, True, PACKED,
            )  # fmt: skip
    for start in range(plain, end, BLOCK):
        top, total, seen = _see(
            top, total, seen, q, q_pinned, keys, values, key_scales, value_scales, start, end, pinned,
            ahead, cursor, around, position, scale, DIM, BLOCK, False, PACKED,
        )  # fmt: skip
    return top, total, seen


@triton.jit
def _attend(
    q_ptr, q_pinned_ptr, keys_ptr, values_ptr, key_scales_ptr, value_scales_ptr, positions_ptr, pinned_ptr,
    out_ptr, weights_ptr, steps, ring_stride, scale_stride, scale, HEADS: tl.constexpr, WINDOW: tl.constexpr,
    DIM: tl.constexpr, QUERIES: tl.constexpr, BLOCK: tl.constexpr, BLOCK_DIM: tl.constexpr,
    PINNED: tl.constexpr, PACKED: tl.constexpr, STRETCHES: tl.constexpr,
):  # fmt: skip
    stretch, head = tl.program_id(0), tl.program_id(1)
    tiles = tl.cdiv(steps, QUERIES)
    row = tl.program_id(2) // tiles
    step = (tl.program_id(2) % tiles) * QUERIES + tl.arange(0, QUERIES)
    position = tl.load(positions_ptr + row * steps + step, mask=step < steps, other=-1).to(tl.int32)
    last = tl.load(positions_ptr + row * steps + steps - 1).to(tl.int32)
    pinned = tl.load(pinned_ptr + row).to(tl.int32)
    cursor = tl.where(last < WINDOW, last, pinned + (last - pinned) % (WINDOW - pinned))
    length = tl.minimum(last + 1, WINDOW)

    number = tl.arange(0, BLOCK_DIM)
    query = (row * HEADS + head) * steps + step
    at = query[:, None] * DIM + number[None, :]
    inside = (step < steps)[:, None] & (number < DIM)[None, :]
    q = tl.load(q_ptr + at, mask=inside, other=0)
    q_pinned = tl.load(q_pinned_ptr + at, mask=inside, other=0)
    ring = row.to(tl.int64) * ring_stride + head * WINDOW * DIM
    keys, values = keys_ptr + ring, values_ptr + ring
    key_scales = key_scales_ptr + row * scale_stride + head * WINDOW
    value_scales = value_scales_ptr + row * scale_stride + head * WINDOW

    first = stretch * STRETCH
    end = tl.minimum(first + STRETCH, length)
    top, total, seen = _see_stretch(
        q, q_pinned, keys, values, key_scales, value_scales, first, end, pinned, last - cursor, cursor,
        WINDOW - pinned, position, scale, DIM, BLOCK, PINNED, PACKED,
    )  # fmt: skip
    if STRETCHES == 1:
        at = ((row * steps + step) * HEADS + head)[:, None] * DIM + number[None, :]
        weight = tl.where(total > 0, total, 1.0)  # of tiles' rows that are no positions, all is 0
        tl.store(out_ptr + at, (seen / weight[:, None]).to(out_ptr.dtype.element_ty), mask=inside)
    else:
        part = query * STRETCHES + stretch
        tl.store(weights_ptr + 2 * part, top, mask=step < steps)
        tl.store(weights_ptr + 2 * part + 1, total, mask=step < steps)
        tl.store(out_ptr + part[:, None] * DIM + number[None, :], seen, mask=inside & (first < end))


@triton.jit
def _join(
    parts_ptr, weights_ptr, out_ptr, steps, HEADS: tl.constexpr, DIM: tl.constexpr, BLOCK_DIM: tl.constexpr,
    STRETCHES: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    query = tl.program_id(0)
    stretch, number = tl.arange(0, BLOCK), tl.arange(0, BLOCK_DIM)
    part = query * STRETCHES + stretch
    top = tl.load(weights_ptr + 2 * part, mask=stretch < STRETCHES, other=-float("inf"))
    total = tl.load(weights_ptr + 2 * part + 1, mask=stretch < STRETCHES, other=0)
    weight = tl.where(total > 0, tl.exp2(top - tl.max(top, 0)), 0.0)
    inside = (total > 0)[:, None] & (number < DIM)[None, :]
    seen = tl.load(parts_ptr + part[:, None] * DIM + number[None, :], mask=inside, other=0)
    result = tl.sum(seen * weight[:, None], 0) / tl.sum(total * weight, 0)
    row, head, step = query // (HEADS * steps), query // steps % HEADS, query % steps
    at = ((row * steps + step) * HEADS + head) * DIM + number
    tl.store(out_ptr + at, result.to(out_ptr.dtype.element_ty), mask=number < DIM)


def ring_attention(
    q: Tensor, q_pinned: Tensor | None, layer: RingLayer, positions: Tensor, pinned: Tensor
) -> Tensor:
    """As ``ring.ring_attention``; ``q_pinned`` None: the same as ``q``."""
    n, heads, t, dim = q.shape
    out = q.new_empty(n, t, heads * dim)
    stretches = triton.cdiv(layer.window, STRETCH.value)
    if not n * t:
        return out
    if stretches == 1:
        _look(q, q_pinned, layer, positions, pinned, out, out, stretches)
        return out
    parts = q.new_empty(n, heads, t, stretches, dim, dtype=torch.float32)
    weights = q.new_empty(n, heads, t, stretches, 2, dtype=torch.float32)
    _look(q, q_pinned, layer, positions, pinned, parts, weights, stretches)
    _join[(n * heads * t,)](
        parts,
        weights,
        out,
        t,
        HEADS=heads,
        DIM=dim,
        BLOCK_DIM=triton.next_power_of_2(dim),
        STRETCHES=stretches,
        BLOCK=triton.next_power_of_2(stretches),
        num_warps=4,
    )
    return out


def _look(
    q: Tensor,
    q_pinned: Tensor | None,
    layer: RingLayer,
    positions: Tensor,
    pinned: Tensor,
    out: Tensor,
    weights: Tensor,
    stretches: int,
) -> None:
    n, heads, t, dim = q.shape
    packed, float32 = layer.key_scales is not None, q.dtype == torch.float32
    queries = min(QUERIES, triton.next_power_of_2(t)) if float32 else QUERIES
    block_dim = max(16, triton.next_power_of_2(dim))
    q = q.contiguous()
    _attend[(stretches, heads, n * triton.cdiv(t, queries))](
        q,
        q if q_pinned is None else q_pinned.contiguous(),
        layer.keys,
        layer.values,
        layer.key_scales if packed else layer.keys,
        layer.value_scales if packed else layer.values,
        positions.contiguous(),
        pinned.contiguous(),
        out,
        weights,
        t,
        *layer.row_strides(),
        math.log2(math.e) / math.sqrt(dim),
        HEADS=heads,
        WINDOW=layer.window,
        DIM=dim,
        QUERIES=queries,
        BLOCK=min(32, BLOCK_NUMBERS // block_dim // (2 if float32 else 1)),
        BLOCK_DIM=block_dim,
        PINNED=q_pinned is not None,
        PACKED=packed,
        STRETCHES=stretches,
        num_warps=4,
        num_stages=3,
    )
