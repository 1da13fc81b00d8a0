"""Mimi's transformers, over the weights of moshi's (``moshi/modules/transformer.py``), a frame at a time."""

from dataclasses import dataclass
from typing import Any

import torch
from moshi.modules.transformer import ProjectedTransformer, StreamingTransformerLayer
from torch import Tensor, nn
from torch.nn.functional import layer_norm

from personaplex_ui.models.personaplex.kernels.layer_norm import add_layer_norm
from personaplex_ui.models.personaplex.kernels.packed_linear import PackedWeights
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

    def __init__(
        self, module: ProjectedTransformer, steps: int, device: torch.device, packed: PackedWeights
    ) -> None:
        transformer = module.transformer
        if transformer.rope is None or not transformer.rope.interleave:
            raise unsupported(f"the positions {transformer.positional_embedding} in a transformer")
        self._layers = [_Layer(layer, packed) for layer in transformer.layers]
        self._packed = packed
        self._steps = torch.arange(steps, device=device)
        self._input: Tensor | None = (
            None if module.input_proj is None else packed.add(module.input_proj.weight)
        )
        output: Any = module.output_projs[0]
        self._output: Tensor | None = None if isinstance(output, nn.Identity) else packed.add(output.weight)
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
            x = self._packed.linear(x, self._input)
        normed = self._layers[0].norm1(x)
        for number, layer in enumerate(self._layers):
            update = layer(x, normed, memory.rings[number], shared)
            if number + 1 < len(self._layers):
                normed = self._layers[number + 1].norm1.after(x, update, layer.scale2)
            else:
                x = x.add_(update) if layer.scale2 is None else x.addcmul_(update, layer.scale2)
        if self._output is not None:
            x = self._packed.linear(x, self._output)
        return x.view(n, t, -1)


class _Layer:
    def __init__(self, layer: Any, packed: PackedWeights) -> None:
        _check(layer)
        self._packed = packed
        attention: Any = layer.self_attn
        self.heads: int = attention.num_heads
        self.head_dim: int = attention.embed_dim // attention.num_heads
        self.window: int = attention.context
        self.norm1, self._norm2 = _Norm(layer.norm1), _Norm(layer.norm2)
        self._in: Tensor = packed.add(attention.in_projs[0].weight)
        self._out: Tensor = packed.add(attention.out_projs[0].weight)
        self._up: Tensor = packed.add(layer.linear1.weight)
        self._down: Tensor = packed.add(layer.linear2.weight)
        self._activation: Any = layer.activation
        self._scale1, self.scale2 = _scale(layer.layer_scale_1), _scale(layer.layer_scale_2)

    def __call__(self, x: Tensor, normed: Tensor, ring: RingLayer, shared: _Pass) -> Tensor:
        """What is to be added to ``x`` ``[n * t, dim]``, which has been changed by the attention, after it is
        multiplied by ``scale2``. ``normed``: ``x`` after ``norm1``."""
        n, t = shared.places.shape
        linear = self._packed.linear
        qkv = linear(normed, self._in).view(n, t, 3, self.heads, self.head_dim)
        q, q_pinned = rope_and_store(qkv, shared.turns, None, ring, shared.places)
        seen = ring_attention(q, q_pinned, ring, shared.ring).view(n * t, -1)
        normed = self._norm2.after(x, linear(seen, self._out), self._scale1)
        return linear(self._activation(linear(normed, self._up)), self._down)


class _Norm:
    def __init__(self, norm: nn.LayerNorm) -> None:
        self._weight, self._bias, self._eps = norm.weight, norm.bias, norm.eps

    def __call__(self, x: Tensor) -> Tensor:
        return layer_norm(x, self._weight.shape, self._weight, self._bias, self._eps)

    def after(self, x: Tensor, update: Tensor, scale: Tensor | None) -> Tensor:
        """Adds ``update``, times ``scale``, to ``x``, and norms that."""
        return add_layer_norm(x, update, scale, self._weight, self._bias, self._eps)


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
