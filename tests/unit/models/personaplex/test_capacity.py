"""How many lines memory and measured ticks allow, and in which words."""

import itertools
import random

import pytest

from personaplex_ui.models.personaplex.loading.capacity import (
    capacity_as_set,
    choose_calls,
    measure_capacity,
    tick_sec,
)

LIMIT_SEC = 0.064

L4 = {1: 0.0412, 2: 0.0448, 4: 0.0521, 8: 0.0667}
"""Grows by 3.65 ms a caller from 37.55: seven take 63.1 ms, eight 66.7."""


@pytest.mark.parametrize(
    ("by_memory", "measured", "count", "words"),
    [
        (
            15,
            L4,
            7,
            "7 lines of 15 that the memory holds: a tick with 7 callers takes 63.0 ms, and with",
        ),
        (15, L4, 7, "with 8 it would take 66.7 ms, over the 64 ms that leave a fifth of a frame in reserve."),
        (5, L4, 5, "5 lines, which is what the memory holds: a tick with 5 callers takes 55.8 ms."),
        (1, {1: 0.010}, 1, "1 line, which is what the memory holds: a tick with 1 caller takes 10.0 ms."),
        (64, {1: 0.005, 64: 0.060}, 64, "64 lines, which is what the memory holds"),
        (64, {1: 0.005, 8: 0.010}, 8, "8 lines of 64 that the memory holds; no more were measured."),
        (
            8,
            {1: 0.064, 2: 0.0641},
            1,
            "1 line of 8 that the memory holds: a tick with 1 caller takes",
        ),
        (8, {1: 0.070}, 1, "One line, and even with one caller a tick takes 70.0 ms, over the 64 ms"),
        (9, {}, 9, "9 lines fit the memory. No tick was measured."),
        (8, {2: 0.030, 8: 0.090}, 5, "5 lines of 8"),
    ],
)
def test_choosing(by_memory: int, measured: dict[int, float], count: int, words: str) -> None:
    lines = choose_calls(by_memory, measured)
    assert lines.count == count
    assert words in lines.reason


def test_no_number_of_callers_up_to_the_chosen_one_is_over_the_limit() -> None:
    """Two take too long: that four were faster was chance, or a kernel that two do not use."""
    assert choose_calls(8, {1: 0.030, 2: 0.070, 4: 0.050}).count == 1
    assert tick_sec({1: 0.030, 2: 0.070, 4: 0.050}, 3) == 0.070


def test_more_memory_or_a_faster_gpu_never_gives_fewer_lines() -> None:
    draw = random.Random(1)
    for _ in range(200):
        measured = {n: draw.uniform(0.005, 0.1) for n in draw.sample(range(1, 65), 5)}
        counts = [choose_calls(n, measured).count for n in range(1, 65)]
        assert all(a <= b for a, b in itertools.pairwise(counts))
        faster = {n: sec * 0.9 for n, sec in measured.items()}
        assert choose_calls(64, faster).count >= counts[-1]


@pytest.mark.parametrize("step", [1, 2, 4, 8])
@pytest.mark.parametrize("by_memory", [1, 2, 3, 7, 15, 41, 64])
@pytest.mark.parametrize("per_caller", [0.0002, 0.0009, 0.00365, 0.020, 0.1])
def test_what_is_chosen_was_measured(step: int, by_memory: int, per_caller: float) -> None:
    """``step``: a graph is captured for so many callers and replayed for fewer, so ticks grow in steps."""
    asked: list[int] = []

    def measure(callers: int) -> float:
        asked.append(callers)
        return 0.0075 + per_caller * step * -(-callers // step)

    report = measure_capacity(by_memory, measure)
    most = max((n for n in range(1, by_memory + 1) if measure(n) <= LIMIT_SEC), default=1)
    asked = asked[: -by_memory or None]
    assert report.lines == most
    assert len(asked) == len(set(asked)) <= 12
    assert list(report.measured_ms) == sorted(asked)
    assert report.measured_ms[report.lines] == pytest.approx(measure(report.lines) * 1e3, abs=0.051)


def test_too_many_callers_are_not_tried() -> None:
    asked: list[int] = []

    def measure(callers: int) -> float:
        asked.append(callers)
        return 0.030 * callers

    assert measure_capacity(64, measure).lines == 2
    assert asked == [1, 2, 4]


def test_a_number_that_was_set_is_kept_and_judged() -> None:
    assert capacity_as_set(8, 15, L4).reason == (
        "8 lines, as MAX_CALLS says: a tick with 8 callers takes 66.7 ms, over the 64 ms that leave a fifth "
        "of a frame in reserve."
    )
    assert capacity_as_set(4, 15, L4).reason == (
        "4 lines, as MAX_CALLS says: a tick with 4 callers takes 52.1 ms."
    )
    untold = capacity_as_set(1, None, {})
    assert (untold.lines, untold.by_memory, untold.reason) == (1, None, "1 line, as MAX_CALLS says.")
