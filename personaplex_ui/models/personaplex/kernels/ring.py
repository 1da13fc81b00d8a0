"""Rings of keys and values (see ``ring_layout``): turning and writing a pass's positions, and attention.

Keys are turned by their position once, when they are written. Scores depend on differences of positions only.
So a row that has wrapped looks at its pinned places with a query of its own, turned as if the pinned ones
directly preceded the oldest of the others: by ``min(position, window - 1)``.
"""

from torch import Tensor

from personaplex_ui.models.personaplex.kernels import ring_twin
from personaplex_ui.models.personaplex.kernels.ring_layout import (
    RingLayer,
    RingPositions,
    Turns,
    place_of,
    turns,
)
from personaplex_ui.models.personaplex.kernels.ring_operators import ring_attention_operator, rope_operator

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
    queries: Tensor = rope_operator(qkv, turns.cos, turns.sin, *pinned, *stores, places)
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
    return ring_attention_operator(q, pinned, *stores, ring.positions, ring.pinned)
