from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personaplex_ui.audio.frame_queue import FrameQueue


def filled(count: int, **limits: int) -> FrameQueue[int]:
    queue = FrameQueue[int](**limits)
    for item in range(count):
        queue.put(item)
    return queue


def test_first_in_first_out() -> None:
    queue = filled(3)
    assert [queue.take(), queue.take(), queue.take(), queue.take()] == [0, 1, 2, None]
    assert queue.dropped == 0


@pytest.mark.parametrize(("target", "left"), [(1, [99]), (2, [98, 99]), (6, [94, 95, 96, 97, 98, 99])])
def test_of_a_long_burst_only_what_is_not_lag_is_left_at_once(target: int, left: list[int]) -> None:
    queue = filled(100, capacity=6, target=target)
    assert queue.dropped == 100 - target
    assert [queue.take() for _ in range(target + 1)] == [*left, None]


def test_after_a_long_burst_the_next_short_one_is_jitter_again() -> None:
    queue = filled(7, capacity=6)
    assert queue.take() == 6
    for item in range(7, 13):
        queue.put(item)
    assert [queue.take() for _ in range(6)] == [7, 8, 9, 10, 11, 12]
    assert queue.dropped == 6


def test_a_short_backlog_is_jitter_and_loses_nothing() -> None:
    queue = filled(5, capacity=6, target=1, patience=6)
    assert [queue.take() for _ in range(6)] == [0, 1, 2, 3, 4, None]
    assert queue.dropped == 0


def test_a_backlog_that_stays_is_cut_back_to_the_target() -> None:
    queue = filled(3, capacity=6, target=1, patience=6)
    taken: list[int | None] = []
    for item in range(3, 10):
        taken.append(queue.take())
        queue.put(item)
    assert taken == [0, 1, 2, 3, 4, 7, 8]  # at the sixth take 5, 6 and 7 wait: only 7 is not too late
    assert queue.dropped == 2
    assert len(queue) == 1


def test_patience_starts_anew_when_the_backlog_was_gone_for_one_take() -> None:
    queue = FrameQueue[int](capacity=6, target=1, patience=3)
    taken: list[int | None] = []
    for item in range(0, 90, 3):  # of every three takes, two find a backlog
        queue.put(item)
        queue.put(item + 1)
        taken.append(queue.take())
        queue.put(item + 2)
        taken += [queue.take(), queue.take()]
    assert taken == list(range(90))
    assert queue.dropped == 0


def test_patience_starts_anew_after_a_cut() -> None:
    queue = filled(4, capacity=6, target=1, patience=2)
    assert [queue.take(), queue.take()] == [0, 3]  # cut
    queue.put(4)
    queue.put(5)
    assert [queue.take(), queue.take()] == [4, 5]  # a burst right after it is not
    assert queue.dropped == 2


@pytest.mark.parametrize("target", [1, 2, 3])
def test_a_sender_that_is_too_fast_adds_no_lasting_lag(target: int) -> None:
    queue = FrameQueue[int](capacity=6, target=target, patience=4)
    waits: list[int] = []
    put = 0
    for tick in range(1_000):
        for _ in range(2 if tick % 10 == 0 else 1):  # 10% too fast
            queue.put(put)
            put += 1
        item = queue.take()
        assert item is not None
        waits.append(put - 1 - item)
    assert max(waits) <= 6
    assert sum(waits) / len(waits) <= target
    assert queue.dropped > 80


def test_clearing_forgets_the_backlog_and_its_age() -> None:
    queue = filled(4, patience=2)
    queue.take()
    queue.clear()
    assert len(queue) == 0
    for item in range(2):
        queue.put(item)
    assert queue.take() == 0  # one take over target since, not two


@pytest.mark.parametrize(
    "make",
    [
        lambda: FrameQueue[int](target=0),  # it would cut the very item it is to give
        lambda: FrameQueue[int](capacity=2, target=3),
    ],
)
def test_limits_that_contradict_each_other_are_refused(make: Callable[[], FrameQueue[int]]) -> None:
    with pytest.raises(AssertionError):
        make()


@given(
    st.integers(1, 6).flatmap(lambda target: st.tuples(st.just(target), st.integers(target, 8))),
    st.integers(0, 8),
    st.lists(st.booleans()),
)
def test_whatever_happens_nothing_is_lost_uncounted_or_out_of_order(
    limits: tuple[int, int], patience: int, puts: list[bool]
) -> None:
    target, capacity = limits
    queue = FrameQueue[int](capacity, target, patience)
    taken: list[int] = []
    put = 0
    for is_put in puts:
        if is_put:
            queue.put(put)
            put += 1
        else:
            item = queue.take()
            if item is not None:
                taken.append(item)
        assert len(queue) <= capacity
    assert taken == sorted(set(taken))
    assert put == len(taken) + queue.dropped + len(queue)
