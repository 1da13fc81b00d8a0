import torch

from personaplex_ui.models.personaplex.runtime.sampling import SamplingBatch, new_sampling_batch, sample


def batch(*rows: tuple[float, int, bool], largest_k: int = 50) -> SamplingBatch:
    values = new_sampling_batch(len(rows), largest_k, torch.device("cpu"))
    for row, (temperature, top_k, greedy) in enumerate(rows):
        values.temperature[row], values.top_k[row], values.greedy[row] = temperature, top_k, greedy
    return values


def noise(rows: int, card: int, seed: int = 0) -> torch.Tensor:
    return torch.empty(rows, card).exponential_(generator=torch.Generator().manual_seed(seed))


def test_greedy_takes_the_most_likely_whatever_the_noise():
    logits = torch.randn(3, 100)
    for seed in range(20):
        tokens = sample(logits, noise(3, 100, seed), batch(*[(1.0, 50, True)] * 3))
        assert tokens.tolist() == logits.argmax(-1).tolist()


def test_each_row_follows_its_own_settings_alone():
    logits, random = torch.randn(4, 100), noise(4, 100)
    settings = [(0.7, 25, False), (1.5, 3, False), (0.8, 1, False), (1.0, 50, True)]
    together = sample(logits, random, batch(*settings))
    alone = [sample(logits[r : r + 1], random[r : r + 1], batch(settings[r]))[0] for r in range(4)]
    assert together.tolist() == [int(token) for token in alone]
    assert together[2] == logits[2].argmax()


def test_draws_follow_the_probabilities_of_the_temperature():
    logits = torch.tensor([[2.0, 1.0, 0.0, -1.0]])
    tokens = torch.cat([sample(logits, noise(1, 4, seed), batch((0.5, 4, False))) for seed in range(4000)])
    seen = torch.bincount(tokens, minlength=4) / len(tokens)
    assert torch.allclose(seen, torch.softmax(logits[0] / 0.5, dim=0), atol=0.03)


def test_nothing_beyond_top_k_is_drawn_and_all_within_is():
    logits = torch.linspace(1, 0, 100)[None]
    tokens = {int(sample(logits, noise(1, 100, seed), batch((5.0, 3, False)))) for seed in range(300)}
    assert tokens == {0, 1, 2}


def test_a_top_k_larger_than_the_vocabulary_is_the_whole():
    logits = torch.zeros(1, 5)
    tokens = {int(sample(logits, noise(1, 5, seed), batch((1.0, 50, False)))) for seed in range(200)}
    assert tokens == {0, 1, 2, 3, 4}
