"""Token sampling: each caller has its own temperature, top-k, seed and random numbers.

Everything is a tensor with one row per caller, so that one batch serves callers with different settings, and
the result does not depend on who else is in the batch.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from personaplex_ui.models.personaplex.kernels.sampling import sample_top_k


@dataclass(slots=True)
class SamplingBatch:
    """The settings of ``n`` callers for one kind of token, each of shape ``[n]``.

    ``temperature`` float32 > 0, ``top_k`` int64 >= 1, ``greedy`` bool. ``largest_k``, a plain number, is the
    maximum of ``top_k``, so that the shapes are fixed.
    """

    temperature: Tensor
    top_k: Tensor
    greedy: Tensor
    largest_k: int

    def rows(self, start: int, end: int) -> "SamplingBatch":
        rows = slice(start, end)
        return SamplingBatch(self.temperature[rows], self.top_k[rows], self.greedy[rows], self.largest_k)

    def copy_row(self, source: int, target: int) -> None:
        for values in (self.temperature, self.top_k, self.greedy):
            values[target] = values[source]


def new_sampling_batch(rows: int, largest_k: int, device: torch.device) -> SamplingBatch:
    return SamplingBatch(
        torch.ones(rows, device=device),
        torch.ones(rows, dtype=torch.long, device=device),
        torch.ones(rows, dtype=torch.bool, device=device),
        largest_k,
    )


def sample(logits: Tensor, noise: Tensor, sampling: SamplingBatch) -> Tensor:
    """Sample one token per row: ``logits`` ``[n, card]``, ``noise`` ``[n, card]`` exponential(1); returns
    int64 ``[n]``.
    """
    return sample_top_k(
        logits, noise, sampling.temperature, sampling.top_k, sampling.greedy, sampling.largest_k
    )
