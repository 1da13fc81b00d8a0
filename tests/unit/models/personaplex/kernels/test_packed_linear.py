"""Products with packed weights are what PyTorch's are, and weights are packed only where that helps."""

import gc
import weakref
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.nn import Linear, Module, Sequential
from torch.nn.functional import linear

from personaplex_ui.models.personaplex.kernels import packed_linear
from personaplex_ui.models.personaplex.kernels.packed_linear import (
    LEAST_NUMBERS,
    LEAST_ROWS,
    MOST_ROWS,
    PackedWeights,
    pack_weight,
    packed_product,
    packing_works,
)
from personaplex_ui.models.personaplex.loading.int8 import Int8Linear

SLOTS = 4
LARGE = (1024, LEAST_NUMBERS // 1024)
ODD = (731, 1027)
SMALL = (1024, LEAST_NUMBERS // 1024 - 1)

needs_packing = pytest.mark.skipif(not packing_works(), reason="this build of PyTorch cannot pack weights")


@pytest.fixture(autouse=True)
def _as_in_calls() -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]
    torch.set_num_threads(1)
    with torch.no_grad():
        yield


@pytest.fixture
def products(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows of each product with packed weights, as they are made."""
    made: list[int] = []

    def counted(x: Tensor, packed: Tensor, bias: Tensor | None) -> Tensor:
        made.append(x.numel() // x.shape[-1])
        return packed_product(x, packed, bias)

    monkeypatch.setattr(packed_linear, "packed_product", counted)
    return made


def packed(*weights: Tensor, rows: int = SLOTS) -> PackedWeights:
    found = PackedWeights(weights)
    found.pack(rows)
    return found


@needs_packing
@pytest.mark.parametrize("bias", [None, torch.linspace(-1, 1, ODD[0])])
def test_products_are_pytorchs_within_rounding(products: list[int], bias: Tensor | None):
    draw = torch.Generator().manual_seed(1)
    weight = torch.randn(ODD, generator=draw)
    x = torch.randn(300, ODD[1], generator=draw)
    weights = packed(weight)
    expected = linear(x.double(), weight.double(), None if bias is None else bias.double())
    counts = [*range(1, MOST_ROWS + 4), *range(MOST_ROWS + 4, 301, 29), 300]
    for rows in counts:
        given = weights.linear(x[:rows], weight, bias)
        assert given.shape == (rows, ODD[0])
        # Sums of 1027 products of about 1, in float32.
        assert (given - expected[:rows]).abs().max() < 2e-4
    assert products == list(range(LEAST_ROWS, MOST_ROWS + 1))


@needs_packing
def test_a_row_is_the_same_in_any_batch():
    draw = torch.Generator().manual_seed(2)
    weight = torch.randn(LARGE, generator=draw)
    x = torch.randn(MOST_ROWS, LARGE[1], generator=draw)
    weights = packed(weight)
    alone = weights.linear(x[:LEAST_ROWS], weight)
    for rows in (5, 8, 16, MOST_ROWS):
        assert torch.allclose(weights.linear(x[:rows], weight)[:LEAST_ROWS], alone, atol=1e-4)


@needs_packing
def test_every_way_in_is_packed(products: list[int]):
    layer = Linear(LARGE[1], LARGE[0])
    weights = packed(layer.weight)
    x = torch.randn(2, 3, LARGE[1])
    assert torch.allclose(weights.layer(layer, x), layer(x), atol=1e-4)
    assert torch.allclose(weights.row_linear(x, layer.weight), linear(x, layer.weight), atol=1e-4)
    assert torch.allclose(weights.linear(x[:, 1:], layer.weight), linear(x[:, 1:], layer.weight), atol=1e-4)
    assert weights.layer(layer, x).shape == (2, 3, LARGE[0])
    assert products == [6, 6, 4, 6]


@pytest.mark.parametrize(
    "weight",
    [
        torch.zeros(SMALL),
        torch.zeros(LARGE, dtype=torch.bfloat16),
        torch.zeros(LARGE, dtype=torch.int8),
        torch.zeros(LARGE, device="meta"),
        torch.zeros(2, *LARGE),
    ],
    ids=["small", "bfloat16", "int8", "another device", "no matrix"],
)
def test_what_is_not_packed(weight: Tensor):
    assert packed(weight).packed_bytes == 0


@needs_packing
def test_an_unpacked_weight_beside_a_packed_one(products: list[int]):
    large, small = torch.randn(LARGE), torch.randn(SMALL)
    weights = packed(large, small)
    assert weights.packed_bytes == large.nbytes
    x = torch.randn(SLOTS, SMALL[1])
    assert torch.equal(weights.linear(x, small), linear(x, small))
    assert products == []


@needs_packing
def test_packed_only_for_as_many_rows_as_it_helps():
    weight = torch.randn(LARGE)
    weights = packed(weight, weight, rows=LEAST_ROWS - 1)
    assert weights.packed_bytes == 0
    weights.pack(LEAST_ROWS)
    assert weights.packed_bytes == weight.nbytes
    weights.pack(8)
    assert weights.packed_bytes == weight.nbytes
    weights.pack(1)
    assert weights.packed_bytes == 0


@needs_packing
def test_a_model_too_large_for_calls_is_not_packed(monkeypatch: pytest.MonkeyPatch):
    weights = [torch.randn(LARGE) for _ in range(3)]
    monkeypatch.setattr(packed_linear, "MOST_BYTES", 3 * weights[0].nbytes)
    assert packed(*weights).packed_bytes == 3 * weights[0].nbytes
    assert packed(*weights, torch.randn(LARGE)).packed_bytes == 0


@needs_packing
def test_a_models_weights_are_shared_and_stay():
    int8 = Int8Linear(LARGE[1], LARGE[0], torch.float32, torch.device("cpu"))
    int8.weight.zero_()
    int8.scale.fill_(1)
    layer = Linear(LARGE[1], LARGE[0], bias=False)
    model: Module = Sequential(Sequential(layer), int8)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    own = layer.weight
    weights = PackedWeights.of(model)
    weights.pack(SLOTS)
    assert weights.packed_bytes == own.nbytes, "only the layer that is not int8"
    assert layer.weight is own
    after = model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    x = torch.randn(SLOTS, LARGE[1])
    assert torch.equal(weights.layer(int8, x), int8(x))


@needs_packing
def test_copies_go_with_their_owner(monkeypatch: pytest.MonkeyPatch):
    copies: list[weakref.ref[Tensor]] = []

    def seen(weight: Tensor) -> Tensor:
        copy = pack_weight(weight)
        copies.append(weakref.ref(copy))
        return copy

    monkeypatch.setattr(packed_linear, "pack_weight", seen)
    weights = packed(torch.randn(LARGE))
    assert [copy() is None for copy in copies] == [False]
    del weights
    gc.collect()
    assert [copy() for copy in copies] == [None]


def test_where_pytorch_cannot_pack_nothing_is_packed(monkeypatch: pytest.MonkeyPatch):
    def missing(weight: Tensor) -> Tensor:
        raise RuntimeError("Could not run 'mkldnn::_reorder_linear_weight'")

    monkeypatch.setattr(packed_linear, "pack_weight", missing)
    packing_works.cache_clear()
    try:
        weight = torch.randn(LARGE)
        weights = packed(weight)
        x = torch.randn(SLOTS, LARGE[1])
        assert weights.packed_bytes == 0
        assert torch.equal(weights.linear(x, weight), linear(x, weight))
    finally:
        packing_works.cache_clear()


def test_wrong_products_are_not_used(monkeypatch: pytest.MonkeyPatch):
    def zeros(x: Tensor, packed: Tensor, bias: Tensor | None) -> Tensor:
        return torch.zeros(len(x), 48)

    monkeypatch.setattr(packed_linear, "packed_product", zeros)
    packing_works.cache_clear()
    try:
        assert not packing_works()
        assert packed(torch.randn(LARGE)).packed_bytes == 0
    finally:
        packing_works.cache_clear()
