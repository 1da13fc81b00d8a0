"""The depth transformer: from the hidden state of a position to the assistant's 8 codebooks, one after the
other.

Weights are moshi's ``LMModel`` with ``dep_q=8``. The released model also predicts the caller's 8 codebooks;
they come after the assistant's, so they influence nothing, and inference discards them.
"""

from typing import Any

import torch
from moshi.models.lm import LMModel
from torch import Tensor

from personaplex_ui.models.personaplex.kernels.embedding import embed_sum
from personaplex_ui.models.personaplex.kernels.gating import silu_mul
from personaplex_ui.models.personaplex.kernels.packed_linear import PackedWeights
from personaplex_ui.models.personaplex.kernels.step_attention import step_attention
from personaplex_ui.models.personaplex.runtime.prompt import CODEBOOKS
from personaplex_ui.models.personaplex.runtime.sampling import SamplingBatch, sample
from personaplex_ui.models.personaplex.runtime.temporal import normalize


class Depth:
    """For at most ``rows`` callers at once. Its keys and values live for one position only, always at the
    same address. ``packed``: as for ``Temporal``."""

    def __init__(self, lm: LMModel, rows: int, packed: PackedWeights) -> None:
        self._lm: Any = lm
        self._packed = packed
        self._layers: Any = list(lm.depformer.layers)  # type: ignore[union-attr]
        attention: Any = self._layers[0].self_attn
        self._heads: int = attention.num_heads
        self._head_dim: int = attention.embed_dim // attention.num_heads
        shape = (len(self._layers), rows, 2, self._heads, CODEBOOKS, self._head_dim)
        self._cache = torch.zeros(shape, device=lm.device, dtype=lm.dtype)

    def forward(
        self, text: Tensor, hidden: Tensor, noise: Tensor, sampling: SamplingBatch, codebooks: int = CODEBOOKS
    ) -> Tensor:
        """Codes ``[n, codebooks]`` for the ``text`` tokens ``[n]`` and ``hidden`` states ``[n, dim]``.

        ``noise`` ``[n, 8, card]`` is exponential(1).
        """
        codes: list[Tensor] = []
        previous = text
        for step in range(codebooks):
            table = self._lm.depformer_emb[step - 1] if step else self._lm.depformer_text_emb
            projected = self._packed.row_linear(hidden, self._lm.depformer_in[step].weight)
            x = embed_sum(previous[:, None], [table.weight], projected)
            normed = self._lm.depformer_norms[step](self._through_layers(x, step))
            logits = self._packed.row_linear(normed, self._lm.linears[step].weight)
            previous = sample(logits, noise[:, step], sampling)
            codes.append(previous)
        return torch.stack(codes, dim=1)

    def _through_layers(self, x: Tensor, step: int) -> Tensor:
        """``x`` ``[n, dim]`` through all layers with the weights of ``step``."""
        n, added = len(x), None
        through = self._packed.layer
        for number, layer in enumerate(self._layers):
            x, normed = normalize(x, added, layer.norm1)
            attention, gating = layer.self_attn, layer.gating[step]
            projected = through(attention.in_projs[step], normed)
            qkv = projected.view(n, 3, self._heads, self._head_dim)
            seen = step_attention(qkv, self._cache[number, :n], step)
            x, normed = normalize(x, through(attention.out_projs[step], seen), layer.norm2)
            added = through(gating.linear_out, silu_mul(through(gating.linear_in, normed)))
        assert added is not None
        return x + added
