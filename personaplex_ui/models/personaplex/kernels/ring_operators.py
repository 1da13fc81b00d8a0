"""``ring`` as operators of PyTorch, which take and return tensors only."""

from typing import Any

import torch
from torch import Tensor

from personaplex_ui.models.personaplex.kernels import ring_twin
from personaplex_ui.models.personaplex.kernels.operators import register
from personaplex_ui.models.personaplex.kernels.ring_layout import RingLayer, RingPositions, Turns


def _rope_inputs(
    qkv: Tensor,
    cos: Tensor,
    sin: Tensor,
    pinned_cos: Tensor | None,
    pinned_sin: Tensor | None,
    *rings_and_places: Any,
) -> tuple[Tensor, Turns, Turns | None, RingLayer, Tensor]:
    *rings, places = rings_and_places
    pinned = None if pinned_cos is None or pinned_sin is None else Turns(pinned_cos, pinned_sin)
    return qkv, Turns(cos, sin), pinned, RingLayer(*rings), places


def _rope_twin(*inputs: Any) -> Tensor:
    q, q_pinned = ring_twin.rope_and_store(*_rope_inputs(*inputs))
    return torch.stack([q] if q_pinned is q else [q, q_pinned])


def _rope_kernel(*inputs: Any) -> Tensor:
    from personaplex_ui.models.personaplex.kernels.gpu import rope

    return rope.rope_and_store(*_rope_inputs(*inputs))


def _fake_rope(*inputs: Any) -> Tensor:
    qkv, _, pinned, _, _ = _rope_inputs(*inputs)
    n, t, _, heads, head_dim = qkv.shape
    return qkv.new_empty(1 if pinned is None else 2, n, heads, t, head_dim)


def _attention_twin(q: Tensor, q_pinned: Tensor | None, *rings_and_positions: Any) -> Tensor:
    *rings, positions, pinned = rings_and_positions
    layer = RingLayer(*rings)
    at = RingPositions(positions, pinned, layer.window)
    return ring_twin.ring_attention(q, q if q_pinned is None else q_pinned, layer, at)


def _attention_kernel(q: Tensor, q_pinned: Tensor | None, *rings_and_positions: Any) -> Tensor:
    from personaplex_ui.models.personaplex.kernels.gpu import attention

    *rings, positions, pinned = rings_and_positions
    return attention.ring_attention(q, q_pinned, RingLayer(*rings), positions, pinned)


def _fake_attention(q: Tensor, *inputs: Any) -> Tensor:
    n, heads, t, head_dim = q.shape
    return q.new_empty(n, t, heads * head_dim)


rope_operator = register(
    "rope_and_store(Tensor qkv, Tensor cos, Tensor sin, Tensor? pinned_cos, Tensor? pinned_sin, "
    "Tensor(a!) keys, Tensor(b!) values, Tensor(c!)? key_scales, Tensor(d!)? value_scales, Tensor places) "
    "-> Tensor",
    _rope_twin,
    _rope_kernel,
    _fake_rope,
)
"""Returns the queries, and those for pinned places if there are turns for them: ``[1 or 2, n, heads, t,
head_dim]``."""

ring_attention_operator = register(
    "ring_attention(Tensor q, Tensor? q_pinned, Tensor keys, Tensor values, Tensor? key_scales, "
    "Tensor? value_scales, Tensor positions, Tensor pinned) -> Tensor",
    _attention_twin,
    _attention_kernel,
    _fake_attention,
)
"""``q_pinned`` None: the same as ``q``."""
