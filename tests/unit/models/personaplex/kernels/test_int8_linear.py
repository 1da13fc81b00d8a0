"""int8 weights times activations, on a CPU: plainly, and by torch's kernel where that is good."""

import logging

import pytest
import torch
from torch import Tensor
from torch.nn.functional import linear

from personaplex_ui.models.personaplex.kernels import int8_linear as module
from personaplex_ui.models.personaplex.kernels.int8_linear import int8_linear, packed_kernel, trouble_of

BOTH = [torch.float32, torch.bfloat16]
OUT = 48


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def weights(dtype: torch.dtype, columns: int = 64) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(2)
    numbers = torch.randint(-127, 128, (OUT, columns), generator=draw, dtype=torch.int8)
    return numbers, (torch.rand(OUT, generator=draw) / 100).to(dtype)


@pytest.fixture
def packed_calls(monkeypatch: pytest.MonkeyPatch) -> list[torch.Size]:
    """The shapes of what torch's kernel was given."""
    shapes: list[torch.Size] = []

    def counted(rows: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
        shapes.append(rows.shape)
        return packed_kernel(rows, weight, scale)

    assert module.packed_kernel_works()
    monkeypatch.setattr(module, "packed_kernel", counted)
    return shapes


@pytest.mark.parametrize("dtype", BOTH)
@pytest.mark.parametrize("columns", [64, 44])
@pytest.mark.parametrize("shape", [(1,), (4,), (32,), (1, 1), (4, 1), (4, 8), (0,)])
def test_both_ways_give_the_plain_result(dtype: torch.dtype, columns: int, shape: tuple[int, ...]):
    weight, scale = weights(dtype, columns)
    x = drawn(*shape, columns, seed=1).to(dtype)
    expected = linear(x.double(), weight.double() * scale.double()[:, None])
    result = int8_linear(x, weight, scale)
    assert result.dtype == dtype
    assert result.shape == (*shape, OUT)
    within = 1e-6 if dtype == torch.float32 else 4e-3
    assert torch.dist(result.double(), expected) <= within * expected.norm()


@pytest.mark.parametrize("columns", [64, 44])
def test_an_input_that_is_no_single_run_of_memory(columns: int):
    x = drawn(columns, 5, 3, seed=1).bfloat16().transpose(0, 2)
    given = int8_linear(x, *weights(torch.bfloat16, columns))
    torch.testing.assert_close(given, int8_linear(x.contiguous(), *weights(torch.bfloat16, columns)))


@pytest.mark.parametrize(
    ("dtype", "columns", "packed"),
    [(torch.bfloat16, 64, True), (torch.bfloat16, 44, False), (torch.float32, 64, False)],
)
def test_torchs_kernel_is_used_where_it_is_good(
    packed_calls: list[torch.Size], dtype: torch.dtype, columns: int, packed: bool
):
    """In bfloat16, and with columns that it does not read beyond."""
    int8_linear(drawn(3, 2, columns).to(dtype), *weights(dtype, columns))
    assert packed_calls == ([(6, columns)] if packed else [])


def test_torchs_kernel_is_not_used_where_it_does_not_work(
    packed_calls: list[torch.Size], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "packed_kernel_works", lambda: False)
    int8_linear(drawn(3, 64).bfloat16(), *weights(torch.bfloat16))
    assert packed_calls == []


def test_a_kernel_that_fails_or_is_wrong_is_told():
    def missing(rows: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
        raise NotImplementedError("no kernel for this device")

    def wrong(rows: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
        return packed_kernel(rows, weight, scale) * (1.02 if len(rows) == 32 else 1.0)

    def no_number(rows: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
        return torch.full((len(rows), len(scale)), torch.nan)

    assert "no kernel for this device" in trouble_of(missing)
    assert "wrong" in trouble_of(wrong)
    assert "wrong" in trouble_of(no_number)
    assert trouble_of(packed_kernel) == ""


def test_a_kernel_that_does_not_work_is_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(module, "trouble_of", lambda kernel: "It is broken")  # pyright: ignore
    module.packed_kernel_works.cache_clear()
    try:
        assert not module.packed_kernel_works()
        assert not module.packed_kernel_works()
    finally:
        module.packed_kernel_works.cache_clear()
    assert caplog.text.count("It is broken, so that") == 1
