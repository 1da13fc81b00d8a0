"""The windows of a convolution, against torch's own convolution of the whole sound at once."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv1d, elu

from personaplex_ui.models.personaplex.kernels.windows import windows

SHAPES = [(3, 1, 1), (7, 1, 1), (3, 1, 4), (8, 4, 1), (10, 5, 1), (5, 2, 2), (2, 1, 1), (4, 2, 1), (5, 4, 1)]
"""Kernel, stride and dilation."""
ROWS, CHANNELS, OUT = 3, 5, 4


def past_of(kernel: int, stride: int, dilation: int) -> int:
    return (kernel - 1) * dilation + 1 - stride


def convolved(whole: Tensor, weight: Tensor, past: Tensor, stride: int, dilation: int) -> Tensor:
    return conv1d(torch.cat([past, whole], 1).mT, weight, None, stride, 0, dilation).mT


@pytest.mark.parametrize(("kernel", "stride", "dilation"), SHAPES)
@pytest.mark.parametrize("alpha", [None, 1.0, 0.5])
def test_frame_by_frame_is_the_same_as_at_once(kernel: int, stride: int, dilation: int, alpha: float | None):
    """With frames shorter and longer than what is remembered."""
    past = past_of(kernel, stride, dilation)
    sound, added = torch.randn(2, ROWS, 12 * stride, CHANNELS).unbind(0)
    weight = torch.randn(OUT, CHANNELS, kernel)
    state, pieces = torch.zeros(ROWS, past, CHANNELS), list[Tensor]()
    for begin, end in ((0, 1), (1, 2), (2, 9), (9, 12)):
        x, more = (part[:, begin * stride : end * stride] for part in (sound, added))
        following = torch.full_like(state, torch.nan)
        seen = windows(x, more, state, following, None, kernel, stride, dilation, alpha)
        assert seen.shape == (ROWS * (end - begin), kernel * CHANNELS)
        pieces.append((seen @ weight.mT.flatten(1).T).view(ROWS, end - begin, OUT))
        state = following
    total = sound + added
    whole = total if alpha is None else elu(total, alpha)
    expected = convolved(whole, weight, torch.zeros(ROWS, past, CHANNELS), stride, dilation)
    torch.testing.assert_close(torch.cat(pieces, 1), expected, rtol=1e-5, atol=1e-5)
    assert torch.equal(state, torch.cat([torch.zeros(ROWS, past, CHANNELS), total], 1)[:, -past:])


def test_rows_at_their_start_see_their_first_step_before_it():
    sound, state = torch.randn(ROWS, 2, CHANNELS), torch.randn(ROWS, 3, CHANNELS)
    start, after = torch.tensor([[0], [2], [0]]), torch.empty(ROWS, 3, CHANNELS)
    seen = windows(sound, None, state, after, start, kernel=5, stride=2).view(ROWS, 5, CHANNELS)
    assert torch.equal(seen[1, :3], state[1])
    for row in (0, 2):
        assert torch.equal(seen[row, :3], sound[row, :1].expand(3, -1))
    assert torch.equal(seen[:, 3:], sound)
    assert torch.equal(after, seen[:, 2:])
