"""Token sampling: each caller has its own temperature, top-k, seed and random numbers.

Everything is a tensor with one row per caller, so that one batch serves callers with different settings, and
the result does not depend on who else is in the batch.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


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
    ranks: Tensor
    """int64 ``[largest_k]``: 0, 1, 2, ..."""

    def rows(self, start: int, end: int) -> "SamplingBatch":
        rows = slice(start, end)
        return SamplingBatch(
            self.temperature[rows], self.top_k[rows], self.greedy[rows], self.largest_k, self.ranks
        )

    def copy_row(self, source: int, target: int) -> None:
        for values in (self.temperature, self.top_k, self.greedy):
            values[target] = values[source]


def new_sampling_batch(rows: int, largest_k: int, device: torch.device) -> SamplingBatch:
    return SamplingBatch(
        torch.ones(rows, device=device),
        torch.ones(rows, dtype=torch.long, device=device),
        torch.ones(rows, dtype=torch.bool, device=device),
        largest_k,
        torch.arange(largest_k, device=device),
    )


def sample(logits: Tensor, noise: Tensor, sampling: SamplingBatch) -> Tensor:
    """Sample one token per row: ``logits`` ``[n, card]``, ``noise`` ``[n, card]`` exponential(1); returns
    int64 ``[n]``.

    The argmax of ``p / noise`` is a sample from ``p`` (the Gumbel trick in the form that moshi's own
    ``multinomial`` uses). Candidates beyond the row's top-k are excluded.
    """
    logits = logits.float()
    best = logits.argmax(dim=-1)
    k = min(sampling.largest_k, logits.shape[-1])
    candidates, tokens = torch.topk(logits / sampling.temperature[:, None], k, dim=-1)
    beyond = sampling.ranks[:k] >= sampling.top_k[:, None]
    candidates = candidates.masked_fill(beyond, float("-inf"))
    scores = torch.softmax(candidates, dim=-1) / noise.gather(-1, tokens)
    drawn = tokens.gather(-1, scores.argmax(dim=-1, keepdim=True))[:, 0]
    return torch.where(sampling.greedy, best, drawn)
