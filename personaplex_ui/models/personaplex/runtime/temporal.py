"""The temporal transformer, for one or more positions at a time and a batch of callers.

The weights and layers are those of moshi's ``LMModel``; the loop over them is ours, because moshi's attends
to the whole window of every row, filled or not, and rebuilds its mask in every layer.
"""

from dataclasses import dataclass
from typing import Any

import torch
from moshi.models.lm import LMModel
from moshi.utils.compile import no_compile
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from personaplex_ui.models.personaplex.loading.offload import HostLayers
from personaplex_ui.models.personaplex.runtime.prompt import CODEBOOKS


@dataclass(slots=True)
class KeyValues:
    """Keys and values of all layers, ``[layers, 2, rows, heads, window, head_dim]``: a ring in which position
    p of a row is at p % window."""

    tensor: Tensor

    @property
    def window(self) -> int:
        return self.tensor.shape[4]

    def rows(self, start: int, end: int) -> "KeyValues":
        return KeyValues(self.tensor[:, :, start:end])


class Temporal:
    def __init__(self, lm: LMModel) -> None:
        self._lm: Any = lm
        layers: Any = lm.transformer.layers
        # Layers in host memory are copied to the device one by one, again on every pass.
        self._layers: Any = layers if isinstance(layers, HostLayers) else list(layers)
        attention: Any = next(iter(layers)).self_attn
        self._heads: int = attention.num_heads
        self._head_dim: int = attention.embed_dim // attention.num_heads
        self.window: int = attention.context
        self.device: torch.device = lm.device
        self.dtype: torch.dtype = lm.dtype

    def new_key_values(self, rows: int, window: int | None = None) -> KeyValues:
        shape = (len(self._layers), 2, rows, self._heads, window or self.window, self._head_dim)
        return KeyValues(torch.zeros(shape, device=self.device, dtype=self.dtype))

    def embed(self, tokens: Tensor) -> Tensor:
        """Token numbers ``[n, 17, t]`` as inputs ``[n, t, dim]``: summed in the order of moshi's
        ``forward_text``."""
        total: Tensor | None = None
        for codebook in range(2 * CODEBOOKS):
            embedded: Tensor = self._lm.emb[codebook](tokens[:, codebook + 1])
            total = embedded if total is None else total + embedded
        text: Tensor = self._lm.text_emb(tokens[:, 0])
        assert total is not None
        return text + total

    def forward(self, inputs: Tensor, key_values: KeyValues, positions: Tensor, filled: int) -> Tensor:
        """The hidden state (normed) of ``inputs`` ``[n, t, dim]``, whose first position of row b is
        ``positions[b]``.

        Writes their keys and values. ``filled``: how many places of the ring any row may attend to, at least
        ``min(window, max(positions) + t)``. With t > 1 the ring must not wrap.
        """
        n, t, _ = inputs.shape
        places = positions[:, None] + torch.arange(t, device=inputs.device)
        # Places after a row's newest are empty until its ring has wrapped; then all are visible.
        visible = torch.arange(filled, device=inputs.device) <= places[:, :, None]
        places = places % key_values.window
        index = places[:, None, :, None].expand(n, self._heads, t, self._head_dim)
        mask = visible[:, None]
        x = inputs
        with no_compile():
            for number, layer in enumerate(self._layers):
                attention = layer.self_attn
                projected: Tensor = attention.in_projs[0](layer.norm1(x))
                q, k, v = projected.view(n, t, 3, self._heads, self._head_dim).permute(2, 0, 3, 1, 4)
                q, k = attention.rope(q, k, positions, time_before_heads=False)
                keys, values = key_values.tensor[number]
                keys.scatter_(2, index, k)
                values.scatter_(2, index, v)
                seen = scaled_dot_product_attention(q, keys[:, :, :filled], values[:, :, :filled], mask)
                x = x + attention.out_projs[0](seen.transpose(1, 2).reshape(n, t, -1))
                x = x + layer.gating(layer.norm2(x))
            return self._lm.out_norm(x)

    def text_logits(self, hidden: Tensor) -> Tensor:
        """``[n, dim]`` -> ``[n, text_card]``."""
        return self._lm.text_linear(hidden)
