"""Rings of keys and values (see ``ring_layout``): turning and writing a pass's positions, and attention.

Keys are turned by their position once, when they are written. Scores depend on differences of positions only.
So a row that has wrapped looks at its pinned places with a query of its own, turned as if the pinned ones
directly preceded the oldest of the others: by ``min(position, window - 1)``.
"""

import torch
from torch import Tensor

from personaplex_ui.models.personaplex.kernels import ring_twin
from personaplex_ui.models.personaplex.kernels.operators import register
from personaplex_ui.models.personaplex.kernels.ring_layout import (
    RingLayer,
    RingPositions,
    Turns,
    place_of,
    turns,
)

__all__ = ["RingLayer", "RingPositions", "Turns", "place_of", "ring_attention", "rope_and_store", "turns"]


def rope_and_store(
    qkv: Tensor, turns: Turns, pinned_turns: Turns | None, layer: RingLayer, places: Tensor
) -> tuple[Tensor, Tensor]:
    """Turns queries and keys of ``qkv`` ``[n, t, 3, heads, head_dim]``; writes keys and values at ``places``,
    int64 ``[n, t]``.

    Returns the queries ``[n, heads, t, head_dim]`` and those for pinned places, turned by ``pinned_turns``;
    without these the same tensor again. Turned as in moshi's ``apply_rope`` with ``interleave``, in float32.
    """
    if not qkv.is_cuda:
        return ring_twin.rope_and_store(qkv, turns, pinned_turns, layer, places)
    pinned = (None, None) if pinned_turns is None else (pinned_turns.cos, pinned_turns.sin)
    stores = (layer.keys, layer.values, layer.key_scales, layer.value_scales)
    queries: Tensor = _rope_and_store(qkv, turns.cos, turns.sin, *pinned, *stores, places)
    q = queries.select(0, 0)
    return q, (q if pinned_turns is None else queries.select(0, 1))


def ring_attention(q: Tensor, q_pinned: Tensor, layer: RingLayer, ring: RingPositions) -> Tensor:
    """``q`` ``[n, heads, t, head_dim]`` -> ``[n, t, heads * head_dim]``.

    Position p sees a place if the position that is there now is in [0, p]: with t > 1 and a ring that has
    wrapped, the first does not see what the last has overwritten, as in moshi's ``RingKVCache``. ``q_pinned``
    is ``q`` itself where no row has wrapped, or nothing is pinned. A row's sum depends on the row alone.
    """
    if not q.is_cuda:
        return ring_twin.ring_attention(q, q_pinned, layer, ring)
    stores = (layer.keys, layer.values, layer.key_scales, layer.value_scales)
    pinned = None if q_pinned is q else q_pinned
    return _ring_attention(q, pinned, *stores, ring.positions, ring.pinned)


# Operators ------------------------------------------------------------------------------------------------


def _rope_twin(
    qkv: Tensor,
    cos: Tensor,
    sin: Tensor,
    pinned_cos: Tensor | None,
    pinned_sin: Tensor | None,
    keys: Tensor,
    values: Tensor,
    key_scales: Tensor | None,
    value_scales: Tensor | None,
    places: Tensor,
) -> Tensor:
    layer = RingLayer(keys, values, key_scales, value_scales)
    pinned = None if pinned_cos is None or pinned_sin is None else Turns(pinned_cos, pinned_sin)
    q, q_pinned = ring_twin.rope_and_store(qkv, Turns(cos, sin), pinned, layer, places)
    return torch.stack([q] if pinned is None else [q, q_pinned])


def _fake_rope(
    qkv: Tensor,
    cos: Tensor,
    sin: Tensor,
    pinned_cos: Tensor | None,
    pinned_sin: Tensor | None,
    keys: Tensor,
    values: Tensor,
    key_scales: Tensor | None,
    value_scales: Tensor | None,
    places: Tensor,
) -> Tensor:
    n, t, _, heads, head_dim = qkv.shape
    return qkv.new_empty(1 if pinned_cos is None else 2, n, heads, t, head_dim)


def _attention_twin(
    q: Tensor,
    q_pinned: Tensor | None,
    keys: Tensor,
    values: Tensor,
    key_scales: Tensor | None,
    value_scales: Tensor | None,
    positions: Tensor,
    pinned: Tensor,
) -> Tensor:
    layer = RingLayer(keys, values, key_scales, value_scales)
    ring = RingPositions(positions, pinned, layer.window)
    return ring_twin.ring_attention(q, q if q_pinned is None else q_pinned, layer, ring)


def _fake_attention(
    q: Tensor,
    q_pinned: Tensor | None,
    keys: Tensor,
    values: Tensor,
    key_scales: Tensor | None,
    value_scales: Tensor | None,
    positions: Tensor,
    pinned: Tensor,
) -> Tensor:
    n, heads, t, head_dim = q.shape
    return q.new_empty(n, t, heads * head_dim)


_rope_and_store = register(
    "rope_and_store(Tensor qkv, Tensor cos, Tensor sin, Tensor? pinned_cos, Tensor? pinned_sin, "
    "Tensor(a!) keys, Tensor(b!) values, Tensor(c!)? key_scales, Tensor(d!)? value_scales, Tensor places) "
    "-> Tensor",
    _rope_twin,
    _rope_twin,
    _fake_rope,
)
_ring_attention = register(
    "ring_attention(Tensor q, Tensor? q_pinned, Tensor keys, Tensor values, Tensor? key_scales, "
    "Tensor? value_scales, Tensor positions, Tensor pinned) -> Tensor",
    _attention_twin,
    _attention_twin,
    _fake_attention,
)
