"""Mimi's transformers, over the weights of moshi's (``moshi/modules/transformer.py``), a frame at a time."""

from dataclasses import dataclass
from typing import Any

import torch
from moshi.modules.transformer import ProjectedTransformer, StreamingTransformerLayer
from torch import Tensor, nn
from torch.nn.functional import layer_norm, linear

from personaplex_ui.models.personaplex.kernels.ring import (
    RingLayer,
    RingPositions,
    Turns,
    ring_attention,
    rope_and_store,
)
from personaplex_ui.models.personaplex.kernels.ring_layout import frequencies, turns_by
from personaplex_ui.models.personaplex.runtime.mimi.state import Memory, RingShape
from personaplex_ui.models.personaplex.runtime.mimi.unsupported import unsupported


@dataclass(frozen=True, slots=True, eq=False)
class _Pass:
    """What all layers share. ``places`` int64 ``[n, t]``."""

    turns: Turns
    places: Tensor
    ring: RingPositions


class RingTransformer:
    """``ProjectedTransformer`` with one output, rotary positions and layer norms."""

    def __init__(self, module: ProjectedTransformer, steps: int, device: torch.device) -> None:
        transformer = module.transformer
        if transformer.rope is None or not transformer.rope.interleave:
            raise unsupported(f"the positions {transformer.positional_embedding} in a transformer")
        self._layers = [_Layer(layer) for layer in transformer.layers]
        self._steps = torch.arange(steps, device=device)
        self._input: Tensor | None = None if module.input_proj is None else module.input_proj.weight
        output: Any = module.output_projs[0]
        self._output: Tensor | None = None if isinstance(output, nn.Identity) else output.weight
        if not self._layers:
            raise unsupported("a transformer without layers")
        first = self._layers[0]
        self._frequencies = frequencies(first.head_dim, transformer.rope.max_period, device)
        self.ring = RingShape(len(self._layers), first.heads, first.window, first.head_dim)

    def __call__(self, x: Tensor, memory: Memory) -> Tensor:
        """``[n, t, dim]`` -> ``[n, t, dim]``. It may overwrite its input."""
        n, t, _ = x.shape
        positions = memory.start + self._steps
        shared = _Pass(
            turns_by(self._frequencies, positions),
            positions % self.ring.window,
            RingPositions(positions, memory.pinned, self.ring.window),
        )
        x = x.reshape(n * t, -1)
        if self._input is not None:
            x = linear(x, self._input)
        for layer, keys_values in zip(self._layers, memory.rings, strict=True):
            x = layer(x, keys_values, shared)
        if self._output is not None:
            x = linear(x, self._output)
        return x.view(n, t, -1)


class _Layer:
    def __init__(self, layer: Any) -> None:
        _check(layer)
        attention: Any = layer.self_attn
        self.heads: int = attention.num_heads
        self.head_dim: int = attention.embed_dim // attention.num_heads
        self.window: int = attention.context
        self._norm1, self._norm2 = _Norm(layer.norm1), _Norm(layer.norm2)
        self._in: Tensor = attention.in_projs[0].weight
        self._out: Tensor = attention.out_projs[0].weight
        self._up: Tensor = layer.linear1.weight
        self._down: Tensor = layer.linear2.weight
        self._activation: Any = layer.activation
        self._scale1, self._scale2 = _scale(layer.layer_scale_1), _scale(layer.layer_scale_2)

    def __call__(self, x: Tensor, ring: RingLayer, shared: _Pass) -> Tensor:
        """``x`` ``[n * t, dim]``, which is overwritten."""
        n, t = shared.places.shape
        qkv = linear(self._norm1(x), self._in).view(n, t, 3, self.heads, self.head_dim)
        q, q_pinned = rope_and_store(qkv, shared.turns, None, ring, shared.places)
        seen = ring_attention(q, q_pinned, ring, shared.ring)
        x = _added(x, linear(seen.view(n * t, -1), self._out), self._scale1)
        update = linear(self._activation(linear(self._norm2(x), self._up)), self._down)
        return _added(x, update, self._scale2)


class _Norm:
    def __init__(self, norm: nn.LayerNorm) -> None:
        self._weight, self._bias, self._eps = norm.weight, norm.bias, norm.eps

    def __call__(self, x: Tensor) -> Tensor:
        return layer_norm(x, self._weight.shape, self._weight, self._bias, self._eps)


def _added(x: Tensor, update: Tensor, scale: Tensor | None) -> Tensor:
    return x.add_(update) if scale is None else x.addcmul_(update, scale)


def _scale(module: nn.Module) -> Tensor | None:
    scale: Any = getattr(module, "scale", None)
    return scale


def _check(layer: StreamingTransformerLayer) -> None:
    if layer.gating is not None:
        raise unsupported("a gating in a transformer")
    if layer.skip_self_attn or layer.cross_attention is not None:
        raise unsupported("an attention to other sources in a transformer")
    if not isinstance(layer.norm1, nn.LayerNorm):
        raise unsupported(f"the norm {type(layer.norm1).__name__} in a transformer")
    attention = layer.self_attn
    if not attention.causal or attention.context is None:
        raise unsupported("an attention without limit in a transformer")
    if attention.kv_repeat != 1 or attention.weights_per_step:
        raise unsupported("keys that heads share, or weights by step, in a transformer")
