"""Attention of one position at a time over a few before it, as in the depth transformer: without rotation."""

from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from personaplex_ui.models.personaplex.kernels.operators import register


def step_attention(qkv: Tensor, cache: Tensor, step: int) -> Tensor:
    """``qkv`` ``[n, 3, heads, head_dim]`` -> ``[n, heads * head_dim]``.

    Writes key and value into ``cache`` ``[n, 2, heads, steps, head_dim]`` at ``step``; sees all up to there.
    """
    if qkv.is_cuda:
        return _step_attention(qkv, cache, step)
    return step_attention_twin(qkv, cache, step)


def step_attention_twin(qkv: Tensor, cache: Tensor, step: int) -> Tensor:
    cache[:, :, :, step] = qkv[:, 1:]
    keys, values = cache[:, :, :, : step + 1].unbind(1)
    return scaled_dot_product_attention(qkv[:, 0, :, None], keys, values).flatten(1)


def _kernel(qkv: Tensor, cache: Tensor, step: int) -> Tensor:
    from personaplex_ui.models.personaplex.kernels.gpu import step_attention

    return step_attention.step_attention(qkv, cache, step)


def _fake_step_attention(qkv: Tensor, cache: Tensor, step: int) -> Tensor:
    n, _, heads, head_dim = qkv.shape
    return qkv.new_empty(n, heads * head_dim)


_step_attention = register(
    "step_attention(Tensor qkv, Tensor(a!) cache, int step) -> Tensor",
    step_attention_twin,
    _kernel,
    _fake_step_attention,
)
