"""The depth transformer: from the hidden state of a position to the assistant's 8 codebooks, one after the
other.

Weights are moshi's ``LMModel`` with ``dep_q=8``. The released model also predicts the caller's 8 codebooks;
they come after the assistant's, so they influence nothing, and inference discards them.
"""

from typing import Any

import torch
from moshi.models.lm import LMModel
from moshi.utils.compile import no_compile
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from personaplex_ui.models.personaplex.runtime.prompt import CODEBOOKS
from personaplex_ui.models.personaplex.runtime.sampling import SamplingBatch, sample


class Depth:
    def __init__(self, lm: LMModel) -> None:
        self._lm: Any = lm
        self._layers: Any = list(lm.depformer.layers)  # type: ignore[union-attr]
        attention: Any = self._layers[0].self_attn
        self._heads: int = attention.num_heads
        self._head_dim: int = attention.embed_dim // attention.num_heads

    def forward(
        self, text: Tensor, hidden: Tensor, noise: Tensor, sampling: SamplingBatch, codebooks: int = CODEBOOKS
    ) -> Tensor:
        """Codes ``[n, codebooks]`` for the ``text`` tokens ``[n]`` and ``hidden`` states ``[n, dim]``.

        ``noise`` ``[n, 8, card]`` is exponential(1).
        """
        n = len(text)
        shape = (len(self._layers), 2, n, self._heads, CODEBOOKS, self._head_dim)
        cache = torch.empty(shape, device=hidden.device, dtype=hidden.dtype)
        codes: list[Tensor] = []
        previous = text
        with no_compile():
            for step in range(codebooks):
                embedding = self._lm.depformer_emb[step - 1] if step else self._lm.depformer_text_emb
                x = self._lm.depformer_in[step](hidden) + embedding(previous)
                x = self._through_layers(x[:, None], step, cache)
                logits = self._lm.linears[step](self._lm.depformer_norms[step](x))[:, 0]
                previous = sample(logits, noise[:, step], sampling)
                codes.append(previous)
        return torch.stack(codes, dim=1)

    def _through_layers(self, x: Tensor, step: int, cache: Tensor) -> Tensor:
        n = len(x)
        for number, layer in enumerate(self._layers):
            attention = layer.self_attn
            projected: Tensor = attention.in_projs[step](layer.norm1(x))
            q, k, v = projected.view(n, 1, 3, self._heads, self._head_dim).permute(2, 0, 3, 1, 4)
            keys, values = cache[number]
            keys[:, :, step] = k[:, :, 0]
            values[:, :, step] = v[:, :, 0]
            seen = scaled_dot_product_attention(q, keys[:, :, : step + 1], values[:, :, : step + 1])
            x = x + attention.out_projs[step](seen.transpose(1, 2).reshape(n, 1, -1))
            x = x + layer.gating[step](layer.norm2(x))
        return x
