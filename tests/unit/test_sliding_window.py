"""The sliding window: against a plain reading of its promise, and that it remembers little."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personaplex_ui.sliding_window import SlidingWindow
from tests.support.clock import Clock

STEPS = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 40).map(float), st.integers(1, 7)), max_size=80
)


@pytest.mark.parametrize("step_sec", [0.0, 10.0])
@given(steps=STEPS)
def test_no_window_holds_more_than_it_may_when_asked_first(
    step_sec: float, steps: list[tuple[str, float, int]]
):
    clock = Clock(1_000.0)
    window = SlidingWindow(10, 100.0, clock, step_sec)
    added: list[tuple[str, float, int]] = []
    for key, pause_sec, amount in steps:
        clock.now += pause_sec
        if amount <= window.left(key):
            window.add(key, amount)
            added.append((key, clock.now, amount))
    for key, end, _ in added:
        # With steps, each may be forgotten up to one step early.
        counted = [n for who, at, n in added if who == key and end - 100.0 + step_sec < at <= end]
        assert sum(counted) <= 10


@given(steps=STEPS)
def test_what_is_left_is_right_however_much_was_added(steps: list[tuple[str, float, int]]):
    clock = Clock(1_000.0)
    window = SlidingWindow(10, 100.0, clock)
    added: list[tuple[float, int]] = []
    for _, pause_sec, amount in steps:
        clock.now += pause_sec
        window.add("a", amount)
        added.append((clock.now, amount))
        counted = sum(n for at, n in added if at > clock.now - 100.0)
        assert (window.left("a") > 0) == (counted < 10)
        assert 0 < window.wait_sec("a") <= 100.0


def test_entries_are_forgotten_one_by_one():
    clock = Clock(1_000.0)
    window = SlidingWindow(3, 300.0, clock)
    for _ in range(3):
        window.add("a")
        clock.now += 10
    assert (window.left("a"), window.wait_sec("a"), window.left("b"), window.wait_sec("b")) == (0, 270, 3, 0)
    clock.now = 1_300.0
    assert (window.left("a"), window.wait_sec("a")) == (1, 10)
    clock.now = 1_320.0
    assert (window.left("a"), window.wait_sec("a"), window.key_count) == (3, 0, 0)


def test_one_addition_too_many_does_not_lengthen_the_wait():
    clock = Clock(1_000.0)
    window = SlidingWindow(2, 300.0, clock)
    for _ in range(50):
        window.add("a")
        clock.now += 1
    assert window.wait_sec("a") == 298


def test_only_so_many_keys_are_remembered(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("personaplex_ui.sliding_window.MOST_KEYS", 50)
    clock = Clock(1_000.0)
    window = SlidingWindow(10, 300.0, clock)
    for number in range(1_000):
        window.add(str(number))
    assert (window.key_count, window.left("949"), window.left("950")) == (50, 10, 9)
    clock.now += 300.0
    window.add("a")
    assert window.key_count == 1


def test_a_day_of_small_pieces_takes_little_memory():
    clock = Clock(6_000.0)
    window = SlidingWindow(10**9, 3_600.0, clock, step_sec=60.0)
    for _ in range(20_000):
        clock.now += 4.0
        window.add("a")
    assert window.left("a") == pytest.approx(10**9 - 900, abs=20)
    assert 1 <= window.wait_sec("a") <= 60
    assert len(next(iter(vars(window)["_entries"].values()))) <= 61
