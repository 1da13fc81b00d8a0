"""The temporal transformer: one pass over several callers, and over a stretch of a prompt beside them.

The weights and layers are those of moshi's ``LMModel``; the loop over them is ours. All positions of a pass
go through the same matrix products, so the weights are read once; only attention knows which row is whose.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from moshi.models.lm import LMModel
from torch import Tensor

from personaplex_ui.models.personaplex.kernels.embedding import embed_sum
from personaplex_ui.models.personaplex.kernels.gating import silu_mul
from personaplex_ui.models.personaplex.kernels.norm import add_rms_norm, rms_norm
from personaplex_ui.models.personaplex.kernels.packed_linear import PackedWeights
from personaplex_ui.models.personaplex.kernels.ring import (
    RingLayer,
    RingPositions,
    Turns,
    place_of,
    ring_attention,
    rope_and_store,
    turns,
)
from personaplex_ui.models.personaplex.loading.offload import HostLayers
from personaplex_ui.models.personaplex.runtime.prompt import CODEBOOKS
from personaplex_ui.models.personaplex.runtime.ring_cache import CacheShape, RingCache, new_ring_cache


@dataclass(frozen=True, slots=True)
class Block:
    """The part of a pass that belongs to ``rows`` rows of one cache, at ``steps`` positions each, computed
    once for all layers. ``pinned_turns``: the rotation for the pinned places; None where it is the same."""

    layers: Sequence[RingLayer]
    ring: RingPositions
    places: Tensor
    turns: Turns
    pinned_turns: Turns | None

    @property
    def rows(self) -> int:
        return self.places.shape[0]

    @property
    def steps(self) -> int:
        return self.places.shape[1]


class Temporal:
    """``packed``: copies of weights of ``lm``, for small batches on a CPU."""

    def __init__(self, lm: LMModel, packed: PackedWeights | None = None) -> None:
        self._lm: Any = lm
        self._packed = packed or PackedWeights()
        layers: Any = lm.transformer.layers
        # Layers in host memory are copied to the device one by one, again on every pass.
        self._layers: Any = layers if isinstance(layers, HostLayers) else list(layers)
        attention: Any = next(iter(layers)).self_attn
        self._heads: int = attention.num_heads
        self._head_dim: int = attention.embed_dim // attention.num_heads
        self._max_period: float = attention.rope.max_period
        self.window = window_of(lm)
        self.dim: int = lm.dim
        self.device: torch.device = lm.device
        self.dtype: torch.dtype = lm.dtype

    def new_cache(self, rows: int, window: int | None = None, int8: bool = False) -> RingCache:
        """An empty cache; by default with the model's own window."""
        shape = CacheShape(len(self._layers), self._heads, self._head_dim, window or self.window)
        return new_ring_cache(shape, rows, self.device, self.dtype, int8)

    def embed(self, tokens: Tensor) -> Tensor:
        """Token numbers ``[n, 17]`` as inputs ``[n, dim]``: summed in the order of moshi's
        ``forward_text``."""
        total: Tensor | None = None
        for codebook in range(2 * CODEBOOKS):
            embedded: Tensor = self._lm.emb[codebook](tokens[:, codebook + 1])
            total = embedded if total is None else total + embedded
        text: Tensor = self._lm.text_emb(tokens[:, 0])
        assert total is not None
        return text + total

    def embed_known(self, tokens: Tensor) -> Tensor:
        """As ``embed``, of any number of codebooks, for tokens that all exist: moshi's layers look for -1,
        which means none."""
        # The text comes first among the tokens, and last in the sum.
        codebooks = tokens.shape[1] - 1
        tables = [module.weight for module in (*self._lm.emb[:codebooks], self._lm.text_emb)]
        return embed_sum(tokens.roll(-1, dims=1), tables)

    def block(
        self,
        layers: Sequence[RingLayer],
        positions: Tensor,
        pinned: Tensor,
        filled: int,
        past_pins: bool = False,
    ) -> Block:
        """``positions`` int64 ``[rows, steps]``, consecutive in each row; ``pinned`` int64 ``[rows]``;
        ``filled``: no row has anything at this place or beyond. ``past_pins``: a row may be past its window
        with pinned places, so that these need a rotation of their own.

        With more than one step, no row may be past its window.
        """
        window = layers[0].keys.shape[2]
        rotation = turns(positions, self._head_dim, self._max_period)
        # Distances to the pinned places stop to grow at the end of the window (docs/DESIGN.md).
        held = turns(positions.clamp(max=window - 1), self._head_dim, self._max_period) if past_pins else None
        ring = RingPositions(positions, pinned, filled)
        return Block(layers, ring, place_of(positions, pinned[:, None], window), rotation, held)

    def forward(self, inputs: Tensor, blocks: Sequence[Block]) -> Tensor:
        """The hidden states (normed) ``[m, dim]`` of ``inputs`` ``[m, dim]``, the blocks' positions one after
        the other, row by row. Stores their keys and values."""
        x, added = inputs, None
        through = self._packed.layer
        for number, layer in enumerate(self._layers):
            attention, gating = layer.self_attn, layer.gating
            x, normed = normalize(x, added, layer.norm1)
            seen = self._attend(through(attention.in_projs[0], normed), blocks, number)
            x, normed = normalize(x, through(attention.out_projs[0], seen), layer.norm2)
            added = through(gating.linear_out, silu_mul(through(gating.linear_in, normed)))
        return normalize(x, added, self._lm.out_norm)[1]

    def _attend(self, projected: Tensor, blocks: Sequence[Block], layer: int) -> Tensor:
        seen: list[Tensor] = []
        start = 0
        for block in blocks:
            end = start + block.rows * block.steps
            qkv = projected[start:end].view(block.rows, block.steps, 3, self._heads, self._head_dim)
            q, q_pinned = rope_and_store(
                qkv, block.turns, block.pinned_turns, block.layers[layer], block.places
            )
            attended = ring_attention(q, q_pinned, block.layers[layer], block.ring)
            seen.append(attended.view(end - start, self._heads * self._head_dim))
            start = end
        return seen[0] if len(seen) == 1 else torch.cat(seen)

    def text_logits(self, hidden: Tensor) -> Tensor:
        """``[n, dim]`` -> ``[n, text_card]``."""
        return self._packed.row_linear(hidden, self._lm.text_linear.weight)


def window_of(lm: LMModel) -> int:
    """How many positions a call remembers."""
    layers: Any = lm.transformer.layers
    return next(iter(layers)).self_attn.context


def normalize(x: Tensor, added: Tensor | None, norm: Any) -> tuple[Tensor, Tensor]:
    """``x + added`` (a residual, unless it is the first), and what ``norm``, moshi's ``RMSNorm``, makes of
    it."""
    alpha: Tensor = norm.alpha.view(-1)
    if added is None:
        return x, rms_norm(x, alpha, norm.eps)
    return add_rms_norm(x, added, alpha, norm.eps)
