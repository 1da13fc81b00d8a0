import random

from personaplex_ui.engine.tick_clock import FRAME_SEC, JITTER_SEC, SLEW_SEC, TickClock


def running(start: float = 0.0) -> TickClock:
    clock = TickClock()
    clock.start(start)
    return clock


def test_the_first_frame_does_not_wait_and_another_does_not_start_the_clock_again():
    clock = running(5.0)
    clock.start(5.03)
    assert clock.earliest <= 5.0
    assert clock.due == 5.0 + JITTER_SEC


def test_follows_a_sound_card_that_drifts_and_never_makes_it_wait():
    clock, arrival = running(10.0), 10.0
    for _ in range(10_000):
        assert clock.earliest <= arrival + 1e-9 <= clock.due + 2e-9
        clock.ticked(arrival, complete=True)
        arrival += FRAME_SEC * 1.0005  # 500 ppm, ten times a bad sound card


def test_one_late_frame_moves_the_clock_by_the_slew_at_most():
    clock = running()
    clock.ticked(0.011, complete=True)
    assert clock.due <= FRAME_SEC + SLEW_SEC + JITTER_SEC + 1e-9


def test_missed_ticks_are_not_made_up_and_the_phase_is_kept_over_them():
    clock = running()
    clock.ticked(1.003, complete=False)
    assert 1.003 < clock.due <= 1.003 + FRAME_SEC + 1e-9
    phase = (clock.due - JITTER_SEC) % FRAME_SEC
    assert min(phase, FRAME_SEC - phase) < 1e-9


def test_a_new_callers_frames_complete_just_before_the_tick():
    draw = random.Random(1)
    for _ in range(500):
        clock = running(draw.uniform(0, 100))
        chunk = draw.choice([240, 480, 960])
        now = clock.due - JITTER_SEC + draw.uniform(0, 10)
        skip = clock.samples_to_skip(now, chunk)
        assert skip is not None
        assert skip % chunk == 0
        assert 0 <= skip < 1920
        complete = now + skip / 24_000  # one frame after it begins, so at this phase
        wait = (clock.due - JITTER_SEC - complete) % FRAME_SEC
        assert wait <= chunk / 24_000 + JITTER_SEC


def test_with_nobody_else_live_any_moment_will_do():
    assert TickClock().samples_to_skip(1.0, 480) is None
