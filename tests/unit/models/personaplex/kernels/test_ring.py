"""Rings of keys and values against moshi's own, and against a cache that is computed anew."""

import math

import pytest
import torch
from moshi.modules.rope import apply_rope
from moshi.modules.transformer import RingKVCache
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from personaplex_ui.models.personaplex.kernels.ring import (
    RingLayer,
    RingPositions,
    Turns,
    place_of,
    ring_attention,
    rope_and_store,
    turns,
)

HEADS, HEAD_DIM, PERIOD = 2, 16, 10_000.0


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def empty_layer(rows: int, window: int, dtype: torch.dtype = torch.float32) -> RingLayer:
    shape = (rows, HEADS, window, HEAD_DIM)
    scales = [torch.zeros(shape[:3]) for _ in range(2)] if dtype == torch.int8 else [None, None]
    return RingLayer(torch.zeros(shape, dtype=dtype), torch.zeros(shape, dtype=dtype), *scales)


def turned_by(positions: Tensor) -> Turns:
    return turns(positions, HEAD_DIM, PERIOD)


class Ring:
    """One layer for ``rows``, one pass after the other, as the runtime does it."""

    def __init__(self, rows: int, window: int, pinned: list[int], dtype: torch.dtype = torch.float32) -> None:
        self.layer = empty_layer(rows, window, dtype)
        self.pinned = torch.tensor(pinned)

    def attend(self, qkv: Tensor, positions: Tensor, filled: int | None = None) -> Tensor:
        window = self.layer.window
        places = place_of(positions, self.pinned[:, None], window)
        seen = turned_by(positions.clamp(max=window - 1)) if self.pinned.any() else None
        q, q_pinned = rope_and_store(qkv, turned_by(positions), seen, self.layer, places)
        return ring_attention(
            q, q_pinned, self.layer, RingPositions(positions, self.pinned, filled or window)
        )


# Places


def test_pinned_positions_keep_their_places_and_the_others_go_round():
    positions = torch.arange(14)[None]
    places = place_of(positions, torch.tensor([[3]]), 8)
    assert places.tolist() == [[0, 1, 2, 3, 4, 5, 6, 7, 3, 4, 5, 6, 7, 3]]


def test_a_plain_ring_is_the_remainder():
    positions = torch.arange(40).view(4, 10)
    assert torch.equal(place_of(positions, torch.zeros(4, 1, dtype=torch.long), 7), positions % 7)


# Rotation


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("t", [1, 2, 5])
def test_turning_is_moshis_bit_for_bit_and_keys_stand_at_their_places(dtype: torch.dtype, t: int):
    qkv = drawn(3, t, 3, HEADS, HEAD_DIM).to(dtype)
    first = torch.tensor([0, 7, 2999])
    positions = first[:, None] + torch.arange(t)
    layer, places = empty_layer(3, 12, dtype), positions % 12
    q, q_pinned = rope_and_store(qkv, turned_by(positions), None, layer, places)
    assert q_pinned is q
    wanted_q, k, v = qkv.permute(2, 0, 3, 1, 4)
    wanted_q, k = apply_rope(wanted_q, k, first, PERIOD)
    assert torch.equal(q, wanted_q)
    for row, at in enumerate(places):
        assert torch.equal(layer.keys[row][:, at], k[row])
        assert torch.equal(layer.values[row][:, at], v[row])
    assert layer.keys.count_nonzero() == k.count_nonzero()


def test_the_pinned_queries_are_turned_by_their_own_angles():
    qkv, positions = drawn(2, 1, 3, HEADS, HEAD_DIM), torch.tensor([[5], [40]])
    layer = empty_layer(2, 12)
    q, q_pinned = rope_and_store(
        qkv, turned_by(positions), turned_by(torch.tensor([[5], [11]])), layer, positions % 12
    )
    assert torch.equal(q[0], q_pinned[0])
    q, k, _ = qkv.permute(2, 0, 3, 1, 4)
    wanted, _ = apply_rope(q, k, torch.tensor([5, 11]), PERIOD)
    assert torch.equal(q_pinned, wanted)


# Attention


@pytest.mark.parametrize("t", [1, 2])
def test_a_ring_is_moshis_bit_for_bit_also_after_it_has_wrapped(t: int):
    """The ring of Mimi's transformers: 250 places, two positions a frame."""
    window, rows = 250, 2
    ours = Ring(rows, window, [0] * rows)
    theirs = RingKVCache(rows, HEADS, HEAD_DIM, window, device=torch.device("cpu"), dtype=torch.float32)
    going = torch.ones(rows, dtype=torch.bool)
    wrapped = 0
    for start in range(0, 520 + t, t):
        qkv = drawn(rows, t, 3, HEADS, HEAD_DIM, seed=start)
        positions = torch.arange(start, start + t).expand(rows, t)
        given = ours.attend(qkv, positions)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        q, k = apply_rope(q, k, torch.full((rows,), start), PERIOD)
        keys, values, at = theirs.complete(k, v, going)
        delta = positions[:, :, None] - at[:, None]
        mask = ((at >= 0)[:, None] & (delta >= 0) & (delta < window))[:, None]
        wanted = scaled_dot_product_attention(q, keys, values, mask).transpose(1, 2).flatten(2)
        assert torch.equal(given, wanted)
        wrapped += start + t > window
    assert wrapped > 100


def test_what_is_not_filled_yet_need_not_be_read():
    ring, whole = Ring(2, 40, [0, 0]), Ring(2, 40, [0, 0])
    for start in (0, 5, 10):
        qkv = drawn(2, 5, 3, HEADS, HEAD_DIM, seed=start)
        positions = torch.arange(start, start + 5).expand(2, 5)
        short = ring.attend(qkv, positions, filled=start + 5)
        torch.testing.assert_close(short, whole.attend(qkv, positions), rtol=1e-5, atol=1e-6)


def computed_anew(raw: Tensor, pinned: int, window: int) -> Tensor:
    """What the last of ``raw`` ``[positions, 3, heads, head_dim]`` sees, if what is kept stood in one run."""
    count = len(raw)
    kept = [*range(min(pinned, count)), *range(max(pinned, count - (window - pinned)), count)]
    q, k, v = raw[kept].permute(1, 2, 0, 3)[:, None]
    q, k = apply_rope(q, k, torch.zeros(1), PERIOD)
    weights = torch.softmax(q[:, :, -1:] @ k.transpose(2, 3) / math.sqrt(HEAD_DIM), dim=-1)
    return (weights @ v).flatten()


def test_pinned_places_are_seen_as_if_they_preceded_the_others():
    window, pinned = 40, [0, 7, 13, 39]
    ring = Ring(4, window, pinned)
    raw = drawn(4, 110, 3, HEADS, HEAD_DIM)
    for position in range(raw.shape[1]):
        given = ring.attend(raw[:, position : position + 1], torch.full((4, 1), position))
        for row, first in enumerate(pinned):
            wanted = computed_anew(raw[row, : position + 1], first, window)
            torch.testing.assert_close(given[row, 0], wanted, rtol=1e-4, atol=5e-6)


def test_pins_change_nothing_before_the_window_is_full_and_much_after_it():
    plain, pins = Ring(2, 20, [0, 0]), Ring(2, 20, [5, 9])
    for position in range(24):
        qkv = drawn(2, 1, 3, HEADS, HEAD_DIM, seed=position)
        positions = torch.full((2, 1), position)
        same = torch.equal(plain.attend(qkv, positions), pins.attend(qkv, positions))
        assert same == (position < 20)


@pytest.mark.parametrize("dtype", [torch.float32, torch.int8])
def test_a_row_answers_alike_whoever_else_is_there(dtype: torch.dtype):
    raw = drawn(3, 30, 3, HEADS, HEAD_DIM)
    firsts = torch.tensor([0, 4, 15])
    together, alone = Ring(3, 16, [0, 3, 5], dtype), Ring(1, 16, [3], dtype)
    for step in range(raw.shape[1]):
        qkv, positions = raw[:, step : step + 1], (firsts + step)[:, None]
        given = together.attend(qkv, positions)
        assert torch.equal(given[1:2], alone.attend(qkv[1:2], positions[1:2]))


@pytest.mark.parametrize("pinned", [0, 6])
def test_keys_and_values_as_int8_are_nearly_the_same(pinned: int):
    whole, rounded = Ring(2, 32, [pinned] * 2), Ring(2, 32, [pinned] * 2, torch.int8)
    for position in range(70):
        qkv = drawn(2, 1, 3, HEADS, HEAD_DIM, seed=position)
        positions = torch.full((2, 1), position)
        wanted, given = whole.attend(qkv, positions), rounded.attend(qkv, positions)
        assert 0 < torch.dist(wanted, given) < 0.02 * wanted.norm()
    assert rounded.layer.key_scales is not None
    error = rounded.layer.keys * rounded.layer.key_scales[..., None] - whole.layer.keys
    assert (error.abs() <= 0.5001 * rounded.layer.key_scales[..., None]).all()


def test_a_key_of_zeros_as_int8():
    ring = Ring(1, 4, [0], torch.int8)
    given = ring.attend(torch.zeros(1, 1, 3, HEADS, HEAD_DIM), torch.zeros(1, 1, dtype=torch.long))
    assert not given.any()
