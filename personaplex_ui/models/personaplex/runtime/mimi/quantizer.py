"""Mimi's split residual vector quantizer (``moshi/quantization``): latents to codes and back.

The nearest entry e of a codebook to x is the one with the largest ``x @ e - |e|^2 / 2``, which is one product
instead of moshi's distances.
"""

from typing import Any

import torch
from moshi.quantization.vq import SplitResidualVectorQuantizer
from torch import Tensor, nn
from torch.nn.functional import embedding

from personaplex_ui.models.personaplex.kernels.codebook import take_best
from personaplex_ui.models.personaplex.kernels.packed_linear import PackedWeights
from personaplex_ui.models.personaplex.runtime.mimi.unsupported import unsupported


class Quantizer:
    """Decodes with the first ``codebooks`` of its codebooks, and encodes with the first ``heard``, if these
    are more. ``heard`` may become smaller later."""

    def __init__(
        self, module: SplitResidualVectorQuantizer, codebooks: int, packed: PackedWeights, heard: int = 0
    ) -> None:
        self.heard = heard = max(codebooks, heard)
        groups: list[tuple[Any, int]] = [
            (module.rvq_first, min(heard, module.n_q_semantic)),
            (module.rvq_rest, heard - module.n_q_semantic),
        ]
        self._groups = [used for _, used in groups]
        layers: list[Any] = [layer for group, used in groups for layer in list(group.vq.layers)[:used]]
        if len(layers) < heard:
            raise unsupported(f"{len(layers)} codebooks")
        for layer in layers:
            if not isinstance(layer.project_in, nn.Identity):
                raise unsupported("codebooks with projections of their own")
        entries: list[Tensor] = [layer.embedding.float() for layer in layers]
        self._entries = torch.cat(entries)
        """All codebooks below each other, ``[heard * bins, dim]``."""
        self._bins = len(entries[0])
        self._half_norms = torch.stack([entry.square().sum(1) / 2 for entry in entries])
        self._first = torch.arange(codebooks, device=self._entries.device) * self._bins
        """Where each codebook of an answer begins."""
        self._packed = packed
        self._in = packed.add(torch.cat([group.input_proj.weight[:, :, 0] for group, _ in groups]))
        output = [group.output_proj.weight[:, :, 0] for group, used in groups for _ in range(used)]
        self._out = packed.add(torch.cat(output[:codebooks], dim=1))
        """One projection of the entries side by side: it also adds them up."""

    def encode(self, latent: Tensor) -> Tensor:
        """``[n, dim]`` -> int64 ``[n, heard]``. Each codebook refines those before it, whatever follows."""
        codes = latent.new_empty(len(latent), self.heard, dtype=torch.long)
        number = 0
        for x, used in zip(self._packed.linear(latent, self._in).chunk(2, dim=1), self._groups, strict=True):
            for _ in range(min(used, self.heard - number)):
                entries = self._entries[number * self._bins : (number + 1) * self._bins]
                scores = torch.addmm(self._half_norms[number], x, entries.T, beta=-1)
                x = take_best(scores, x, entries, codes[:, number])
                number += 1
        return codes

    def decode(self, codes: Tensor) -> Tensor:
        """``[n, codebooks]`` -> ``[n, dim]``."""
        return self._packed.linear(embedding(codes + self._first, self._entries).flatten(1), self._out)
