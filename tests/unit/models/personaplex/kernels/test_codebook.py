"""One level of residual quantization."""

import torch

from personaplex_ui.models.personaplex.kernels.codebook import take_best


def test_the_best_entry_is_noted_and_taken_away():
    x, entries = torch.randn(3, 8), torch.randn(20, 8)
    scores = torch.randn(3, 20)
    scores[0, 4], scores[1, 19] = 9, 9
    scores[2, [6, 11]] = 9
    codes = torch.full((3, 5), -1)
    rest = take_best(scores, x, entries, codes[:, 2])
    assert codes[:, 2].tolist() == [4, 19, 6]
    assert (codes == -1).sum() == 12
    assert torch.equal(rest, x - entries[[4, 19, 6]])
