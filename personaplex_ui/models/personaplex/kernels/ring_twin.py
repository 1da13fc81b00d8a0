"""The plain PyTorch of ``ring``: what a CPU runs, and what the kernels are compared with."""

import math

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from personaplex_ui.models.personaplex.kernels.ring_layout import RingLayer, RingPositions, Turns

LARGEST = 127
"""-128 is not used, so that positive and negative numbers are rounded alike."""


def rope_and_store(
    qkv: Tensor, turns: Turns, pinned_turns: Turns | None, layer: RingLayer, places: Tensor
) -> tuple[Tensor, Tensor]:
    q, k = _turned(qkv[:, :, :2], turns).unbind(2)
    index = places[:, None].expand(-1, qkv.shape[3], -1)
    _store(k.transpose(1, 2), layer.keys, layer.key_scales, index, qkv.dtype)
    _store(qkv[:, :, 2].transpose(1, 2), layer.values, layer.value_scales, index, qkv.dtype)
    queries = q.to(qkv.dtype).transpose(1, 2)
    if pinned_turns is None:
        return queries, queries
    pinned = _turned(qkv[:, :, :1], pinned_turns)[:, :, 0]
    return queries, pinned.to(qkv.dtype).transpose(1, 2)


def _turned(x: Tensor, turns: Turns) -> Tensor:
    """``x`` ``[n, t, any, heads, head_dim]`` turned, in float32. Real and imaginary parts are interleaved."""
    real, imaginary = x.unflatten(-1, (-1, 2)).float().unbind(-1)
    cos, sin = turns.cos[:, :, None, None], turns.sin[:, :, None, None]
    return torch.stack([real * cos - imaginary * sin, real * sin + imaginary * cos], dim=-1).flatten(-2)


def _store(x: Tensor, ring: Tensor, scales: Tensor | None, index: Tensor, dtype: torch.dtype) -> None:
    """``x`` ``[n, heads, t, head_dim]`` into ``ring`` at ``index`` ``[n, heads, t]``."""
    if scales is None:
        stored = x.to(dtype)
    else:
        stored, scale = quantize_places(x)
        scales.scatter_(2, index, scale)
    ring.scatter_(2, index[:, :, :, None].expand_as(stored), stored)


def quantize_places(x: Tensor) -> tuple[Tensor, Tensor]:
    """``x`` ``[..., head_dim]`` as int8, and float32 scales ``[...]``. In float32 inside."""
    wide = x.float()
    scale = wide.abs().amax(dim=-1) / LARGEST
    numbers = (wide / scale[..., None]).masked_fill_(scale[..., None] == 0, 0)
    return numbers.round_().clamp_(-LARGEST, LARGEST).to(torch.int8), scale


def ring_attention(q: Tensor, q_pinned: Tensor, layer: RingLayer, ring: RingPositions) -> Tensor:
    mask = ring.visible(layer.window)[:, None]
    filled = mask.shape[-1]
    keys = _read(layer.keys, layer.key_scales, filled)
    values = _read(layer.values, layer.value_scales, filled)
    seen = scaled_dot_product_attention(q.to(keys.dtype), keys, values, mask)
    if q_pinned is not q:
        # The other rows keep to one way of summing, so that their answers do not depend on who has wrapped.
        wrapped = (ring.positions[:, -1] >= layer.window)[:, None, None, None]
        seen = torch.where(wrapped, _by_two_queries(q, q_pinned, keys, values, mask, ring.pinned), seen)
    return seen.transpose(1, 2).flatten(2).to(q.dtype)


def _read(ring: Tensor, scales: Tensor | None, filled: int) -> Tensor:
    if scales is None:
        return ring[:, :, :filled]
    return ring[:, :, :filled].float() * scales[:, :, :filled, None]


def _by_two_queries(
    q: Tensor, q_pinned: Tensor, keys: Tensor, values: Tensor, mask: Tensor, pinned: Tensor
) -> Tensor:
    wide = keys.float().transpose(2, 3)
    is_pinned = torch.arange(keys.shape[2], device=q.device) < pinned[:, None, None, None]
    scores = torch.where(is_pinned, q_pinned.float() @ wide, q.float() @ wide) / math.sqrt(q.shape[-1])
    weights = torch.softmax(scores.masked_fill(~mask, -math.inf), dim=-1)
    return (weights @ values.float()).to(values.dtype)
