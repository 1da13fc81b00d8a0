import pytest

from personaplex_ui.engine.tick_times import NEWEST, TickTimes


def times_of(*steps_sec: float) -> TickTimes:
    times = TickTimes()
    for sec in steps_sec:
        times.add(sec)
    return times


def test_before_the_first_step_nothing_is_known() -> None:
    times = times_of()
    assert (times.mean_sec, times.p95_sec, times.real_time_factor) == (None, None, None)


def test_one_step_is_mean_and_p95() -> None:
    times = times_of(0.02)
    assert (times.mean_sec, times.p95_sec, times.real_time_factor) == (0.02, 0.02, 0.25)


@pytest.mark.parametrize(("count", "nth"), [(19, 19), (20, 19), (21, 20), (100, 95)])
def test_nineteen_of_twenty_took_at_most_p95(count: int, nth: int) -> None:
    assert times_of(*(float(n) for n in range(count, 0, -1))).p95_sec == nth


def test_only_the_newest_count() -> None:
    times = times_of(*[9.0] * 1_000, *[0.04] * NEWEST)
    assert times.p95_sec == 0.04
    assert times.real_time_factor == pytest.approx(0.5)
