"""The trial multiplies the same layer both ways, and warns where int8 is the slower one."""

from collections.abc import Callable

import pytest
import torch

from personaplex_ui.models.personaplex.loading import int8_trial
from personaplex_ui.models.personaplex.loading.int8_trial import Trial, time_trial


def test_both_ways_give_the_same_product_of_the_same_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(int8_trial, "OUT_FEATURES", 512)
    monkeypatch.setattr(int8_trial, "IN_FEATURES", 256)
    products: list[torch.Tensor] = []

    def stopwatch(run: Callable[[], object]) -> float:
        product = run()
        assert isinstance(product, torch.Tensor)
        products.append(product)
        return float(len(products))

    trial = time_trial(torch.device("cpu"), torch.float32, stopwatch)
    assert trial == Trial(1.0, 2.0)
    int8, plain = products
    assert int8.shape == plain.shape == (4, 512)
    assert not torch.equal(int8, plain)
    assert (int8 - plain).norm() < 0.02 * plain.norm()


def test_only_a_slower_int8_is_warned_of() -> None:
    assert Trial(0.0004, 0.0008).warning == ""
    assert Trial(0.0008, 0.0008).warning == ""
    assert "takes 1.20 ms, and 0.80 ms without int8" in Trial(0.0012, 0.0008).warning
