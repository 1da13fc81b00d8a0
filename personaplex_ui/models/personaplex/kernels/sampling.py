"""One token a row, drawn from its most probable ones."""

import torch
from torch import Tensor

from personaplex_ui.models.personaplex.kernels.operators import register


def sample_top_k(
    logits: Tensor, noise: Tensor, temperature: Tensor, top_k: Tensor, greedy: Tensor, largest_k: int
) -> Tensor:
    """``logits`` ``[n, card]``, ``noise`` float32 ``[n, card]`` exponential(1) -> int64 ``[n]``.

    Each ``[n]``: ``temperature`` float32 > 0; ``top_k`` int64 >= 1, of which ``largest_k`` is the maximum;
    ``greedy`` bool, where the most probable token is taken. The argmax of ``p / noise`` is a sample from
    ``p`` (the Gumbel trick in the form that moshi's ``multinomial`` uses).
    """
    if logits.is_cuda:
        return _sample_top_k(logits, noise, temperature, top_k, greedy, largest_k)
    return sample_top_k_twin(logits, noise, temperature, top_k, greedy, largest_k)


def sample_top_k_twin(
    logits: Tensor, noise: Tensor, temperature: Tensor, top_k: Tensor, greedy: Tensor, largest_k: int
) -> Tensor:
    logits = logits.float()
    best = logits.argmax(dim=-1)
    k = min(largest_k, logits.shape[-1])
    candidates, tokens = torch.topk(logits / temperature[:, None], k, dim=-1)
    rank = torch.arange(k, device=logits.device)
    candidates = candidates.masked_fill(rank >= top_k[:, None], float("-inf"))
    scores = torch.softmax(candidates, dim=-1) / noise.gather(-1, tokens)
    drawn = tokens.gather(-1, scores.argmax(dim=-1, keepdim=True))[:, 0]
    return torch.where(greedy, best, drawn)


def _kernel(
    logits: Tensor, noise: Tensor, temperature: Tensor, top_k: Tensor, greedy: Tensor, largest_k: int
) -> Tensor:
    from personaplex_ui.models.personaplex.kernels.gpu import sampling

    return sampling.sample_top_k(logits, noise, temperature, top_k, greedy, largest_k)


def _fake_sample_top_k(
    logits: Tensor, noise: Tensor, temperature: Tensor, top_k: Tensor, greedy: Tensor, largest_k: int
) -> Tensor:
    return top_k.new_empty(len(logits))


_sample_top_k = register(
    "sample_top_k(Tensor logits, Tensor noise, Tensor temperature, Tensor top_k, Tensor greedy, "
    "int largest_k) -> Tensor",
    sample_top_k_twin,
    _kernel,
    _fake_sample_top_k,
)
