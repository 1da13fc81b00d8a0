# pyright: basic, reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false
# Triton's language is Python for the parser only.
"""Turns a position's query and key, and writes its key and value into the ring: a program for each head."""

import triton
import triton.language as tl
from torch import Tensor

from personaplex_ui.models.personaplex.kernels.ring_layout import RingLayer, Turns

LARGEST = tl.constexpr(127.0)
TO_WHOLE = tl.constexpr(12582912.0)
"""1.5 * 2**23: added to a float32 of at most 2**22 and taken away again, it leaves the nearest whole number,
half to even, as ``torch.round``."""


@triton.jit
def _turned(even, odd, cos_ptr, sin_ptr, at, inside):
    cos = tl.load(cos_ptr + at, mask=inside, other=0)
    sin = tl.load(sin_ptr + at, mask=inside, other=0)
    return even * cos - odd * sin, even * sin + odd * cos


@triton.jit
def _store(even, odd, ring_ptr, scale_ptr, pair, inside, PACKED: tl.constexpr):
    if PACKED:
        largest = tl.maximum(tl.max(tl.abs(even), 0), tl.max(tl.abs(odd), 0))
        scale = tl.div_rn(largest, LARGEST)
        tl.store(scale_ptr, scale)
        divisor = tl.where(scale == 0, 1.0, scale)
        even = tl.div_rn(even, divisor) + TO_WHOLE - TO_WHOLE
        odd = tl.div_rn(odd, divisor) + TO_WHOLE - TO_WHOLE
    tl.store(ring_ptr + 2 * pair, even.to(ring_ptr.dtype.element_ty), mask=inside)
    tl.store(ring_ptr + 2 * pair + 1, odd.to(ring_ptr.dtype.element_ty), mask=inside)


@triton.jit
def _rope_and_store(
    qkv_ptr, cos_ptr, sin_ptr, pinned_cos_ptr, pinned_sin_ptr, keys_ptr, values_ptr, key_scales_ptr,
    value_scales_ptr, places_ptr, queries_ptr, steps, rows, ring_stride, scale_stride,
    HEADS: tl.constexpr, WINDOW: tl.constexpr, PAIRS: tl.constexpr, BLOCK: tl.constexpr,
    PINNED: tl.constexpr, PACKED: tl.constexpr,
):  # fmt: skip
    position, head = tl.program_id(0), tl.program_id(1)
    row, step = position // steps, position % steps
    pair = tl.arange(0, BLOCK)
    inside = pair < PAIRS
    angle = position * PAIRS + pair
    first = qkv_ptr + (position * 3 * HEADS + head) * 2 * PAIRS + 2 * pair
    key, value = first + HEADS * 2 * PAIRS, first + 2 * HEADS * 2 * PAIRS
    place = tl.load(places_ptr + position)
    at = row.to(tl.int64) * ring_stride + (head * WINDOW + place) * 2 * PAIRS
    scale_at = row * scale_stride + head * WINDOW + place

    even = tl.load(key, mask=inside, other=0).to(tl.float32)
    odd = tl.load(key + 1, mask=inside, other=0).to(tl.float32)
    even, odd = _turned(even, odd, cos_ptr, sin_ptr, angle, inside)
    _store(even, odd, keys_ptr + at, key_scales_ptr + scale_at, pair, inside, PACKED)
    even = tl.load(value, mask=inside, other=0).to(tl.float32)
    odd = tl.load(value + 1, mask=inside, other=0).to(tl.float32)
    _store(even, odd, values_ptr + at, value_scales_ptr + scale_at, pair, inside, PACKED)

    query_ptr = queries_ptr + ((row * HEADS + head) * steps + step) * 2 * PAIRS
    q_even = tl.load(first, mask=inside, other=0).to(tl.float32)
    q_odd = tl.load(first + 1, mask=inside, other=0).to(tl.float32)
    even, odd = _turned(q_even, q_odd, cos_ptr, sin_ptr, angle, inside)
    _store(even, odd, query_ptr, query_ptr, pair, inside, False)
    if PINNED:
        even, odd = _turned(q_even, q_odd, pinned_cos_ptr, pinned_sin_ptr, angle, inside)
        query_ptr += rows * HEADS * steps * 2 * PAIRS
        _store(even, odd, query_ptr, query_ptr, pair, inside, False)


def rope_and_store(
    qkv: Tensor, turns: Turns, pinned_turns: Turns | None, layer: RingLayer, places: Tensor
) -> Tensor:
    """As ``ring.rope_and_store``. Returns the queries, and those for the pinned places if there are any, as
    ``[1 or 2, n, heads, t, head_dim]``."""
    n, t, _, heads, head_dim = qkv.shape
    qkv = qkv.contiguous()
    pinned = turns if pinned_turns is None else pinned_turns
    queries = qkv.new_empty(1 if pinned_turns is None else 2, n, heads, t, head_dim)
    ring_stride, scale_stride = layer.row_strides()
    packed = layer.key_scales is not None
    if not n * t:
        return queries
    _rope_and_store[(n * t, heads)](
        qkv,
        turns.cos.contiguous(),
        turns.sin.contiguous(),
        pinned.cos.contiguous(),
        pinned.sin.contiguous(),
        layer.keys,
        layer.values,
        layer.key_scales if packed else layer.keys,
        layer.value_scales if packed else layer.values,
        places.contiguous(),
        queries,
        t,
        n,
        ring_stride,
        scale_stride,
        HEADS=heads,
        WINDOW=layer.window,
        PAIRS=head_dim // 2,
        BLOCK=triton.next_power_of_2(head_dim // 2),
        PINNED=pinned_turns is not None,
        PACKED=packed,
        num_warps=1,
    )
    return queries
