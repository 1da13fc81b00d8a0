import numpy as np

from personaplex_ui.audio.frames import FRAME_SEC
from personaplex_ui.engine.scheduler import Prepare, Scheduler, Step, Wait

FRAME = np.zeros(1920, dtype=np.float32)


def live(*slots: int, paced: bool = True) -> Scheduler:
    scheduler = Scheduler()
    for slot in slots:
        scheduler.join(slot, paced)
    return scheduler


def stepped(action: object) -> list[int]:
    assert isinstance(action, Step)
    return sorted(action.heard)


def test_with_nobody_there_it_waits_for_ever():
    assert Scheduler().next_action(0.0) == Wait(None)


def test_a_lone_caller_is_stepped_as_soon_as_its_frame_is_complete():
    scheduler = live(0)
    for tick in range(50):
        now = tick * FRAME_SEC
        scheduler.hear(0, FRAME, now)
        assert stepped(scheduler.next_action(now)) == [0]
        assert isinstance(scheduler.next_action(now), Wait)


def test_all_callers_are_stepped_together_once_the_last_is_there():
    scheduler = live(0, 1, 2)
    scheduler.hear(0, FRAME, 0.0)
    assert isinstance(scheduler.next_action(0.0), Wait)
    scheduler.hear(1, FRAME, 0.004)
    scheduler.hear(2, FRAME, 0.006)
    assert stepped(scheduler.next_action(0.006)) == [0, 1, 2]


def test_a_tick_waits_for_a_late_caller_only_as_long_as_jitter_explains():
    scheduler = live(0, 1)
    scheduler.hear(0, FRAME, 0.0)
    waited = scheduler.next_action(0.0)
    assert isinstance(waited, Wait)
    assert waited.sec is not None
    assert 0 < waited.sec < 0.02
    assert stepped(scheduler.next_action(waited.sec)) == [0]


def test_a_frame_that_came_too_late_for_its_tick_is_stepped_at_once_and_nothing_is_dropped_later():
    scheduler = live(0, 1)
    for tick in range(30):
        now = tick * FRAME_SEC
        late_sec = 0.025 if tick == 5 else 0.0
        scheduler.hear(0, FRAME, now)
        if late_sec:
            assert stepped(scheduler.next_action(now + 0.013)) == [0]
            assert isinstance(scheduler.next_action(now + 0.014), Wait)
        scheduler.hear(1, FRAME, now + late_sec)
        assert stepped(scheduler.next_action(now + late_sec)) == ([1] if late_sec else [0, 1])
        assert isinstance(scheduler.next_action(now + late_sec), Wait)
    assert [queue.frames.dropped for queue in scheduler.slots.values()] == [0, 0]


def test_callers_whose_frames_are_now_and_then_late_lose_nothing_and_never_lag():
    random = np.random.default_rng(1)
    for step_sec in (0.001, 0.03):
        scheduler = live(0, 1, 2)
        late_sec = np.where(random.random((3, 600)) < 0.1, random.uniform(0.0, 0.075, (3, 600)), 0.0)
        arrivals = sorted(
            (frame * FRAME_SEC + float(late_sec[slot, frame]), slot)
            for slot in range(3)
            for frame in range(600)
        )
        now, steps, most_waiting = 0.0, 0, 0
        while arrivals:
            while arrivals and arrivals[0][0] <= now:
                at, slot = arrivals.pop(0)
                scheduler.hear(slot, FRAME, at)
            action = scheduler.next_action(now)
            if isinstance(action, Step):
                scheduler.spent(action, step_sec)
                steps += 1
                now += step_sec
                most_waiting = max(most_waiting, *(len(queue.frames) for queue in scheduler.slots.values()))
            else:
                assert isinstance(action, Wait)
                comes_at = arrivals[0][0] if arrivals else now
                now = comes_at if action.sec is None else min(comes_at, now + action.sec + 1e-6)
        assert [queue.frames.dropped for queue in scheduler.slots.values()] == [0, 0, 0]
        assert most_waiting <= 1
        assert steps > 600


def test_one_frame_too_many_is_stepped_right_after_the_tick_that_left_it_over():
    scheduler = live(0)
    scheduler.hear(0, FRAME, 0.0)
    scheduler.hear(0, FRAME, 0.0)
    assert stepped(scheduler.next_action(0.0)) == [0]
    assert stepped(scheduler.next_action(0.001)) == [0]
    assert scheduler.next_action(0.002) == Wait(scheduler.clock.earliest - 0.002)


def test_a_burst_of_more_than_two_frames_is_not_stepped_ahead_of_time():
    scheduler = live(0)
    for _ in range(3):
        scheduler.hear(0, FRAME, 0.0)
    assert stepped(scheduler.next_action(0.0)) == [0]
    assert scheduler.next_action(0.001) == Wait(scheduler.clock.earliest - 0.001)


def test_a_late_frame_waits_for_the_next_tick_when_it_is_nearer_or_there_is_no_time_between():
    for late_sec, step_sec in ((0.045, 0.0), (0.02, 0.075)):
        scheduler = live(0, 1)
        scheduler.step_sec = step_sec
        scheduler.hear(0, FRAME, 0.0)
        assert stepped(scheduler.next_action(0.013)) == [0]
        scheduler.hear(1, FRAME, late_sec)
        assert isinstance(scheduler.next_action(late_sec), Wait)
        scheduler.hear(0, FRAME, FRAME_SEC)
        assert stepped(scheduler.next_action(FRAME_SEC)) == [0, 1]


def test_a_caller_who_is_always_late_shows_it_in_what_its_frames_wait():
    scheduler = live(0, 1)
    for tick in range(25):
        now = tick * FRAME_SEC
        scheduler.hear(0, FRAME, now)
        scheduler.next_action(now + 0.013)
        scheduler.hear(1, FRAME, now + 0.02)
        assert stepped(scheduler.next_action(now + 0.02)) == [1]
    assert scheduler.slots[1].wait_sec > 0.9 * FRAME_SEC
    assert scheduler.slots[0].wait_sec < 0.2 * FRAME_SEC


def test_a_lag_of_a_second_is_gone_within_a_second_and_counted():
    scheduler = live(0)
    now = 0.0
    for _ in range(13):  # the engine was stuck and heard nothing
        scheduler.hear(0, FRAME, now)
        now += FRAME_SEC
    for _ in range(12):
        scheduler.hear(0, FRAME, now)
        action = scheduler.next_action(now)
        assert isinstance(action, Step)
        now += FRAME_SEC
    queue = scheduler.slots[0].frames
    assert len(queue) <= 1
    assert queue.dropped + len(queue) == 13


def test_clips_are_stepped_without_waiting_and_ride_along_in_ticks():
    scheduler = live(0)
    scheduler.join(1, paced=False)
    scheduler.hear(1, FRAME, 0.0)
    assert stepped(scheduler.next_action(0.0)) == [1]
    scheduler.hear(0, FRAME, 0.0)
    scheduler.hear(1, FRAME, 0.0)
    assert stepped(scheduler.next_action(0.0)) == [0, 1]


def test_a_clip_never_delays_a_live_callers_tick():
    scheduler = live(0)
    scheduler.join(1, paced=False)
    scheduler.step_sec = 0.03
    scheduler.hear(0, FRAME, 0.0)
    scheduler.next_action(0.0)
    scheduler.hear(1, FRAME, 0.0)
    assert stepped(scheduler.next_action(0.02)) == [1]
    scheduler.hear(1, FRAME, 0.05)
    assert isinstance(scheduler.next_action(0.05), Wait)


def test_clips_lose_no_frame():
    scheduler = live(0, paced=False)
    for _ in range(30):
        scheduler.hear(0, FRAME, 0.0)
    assert sum(isinstance(scheduler.next_action(0.0), Step) for _ in range(40)) == 30
    assert scheduler.slots[0].frames.dropped == 0


def test_preparations_take_turns_in_the_gaps():
    scheduler = live(0)
    scheduler.prepare(1)
    scheduler.prepare(2)
    scheduler.hear(0, FRAME, 0.0)
    assert stepped(scheduler.next_action(0.0)) == [0]
    turns = [scheduler.next_action(0.001) for _ in range(4)]
    assert turns == [Prepare(1), Prepare(2), Prepare(1), Prepare(2)]


def test_a_chunk_too_long_for_the_gap_still_gets_one_turn_a_tick():
    scheduler = live(0)
    scheduler.prepare(1)
    scheduler.chunk_sec = 0.5
    scheduler.hear(0, FRAME, 0.0)
    assert stepped(scheduler.next_action(0.0)) == [0]
    assert scheduler.next_action(0.001) == Prepare(1)
    assert isinstance(scheduler.next_action(0.002), Wait)


def test_who_left_is_neither_stepped_nor_prepared_nor_waited_for():
    scheduler = live(0, 1)
    scheduler.prepare(2)
    scheduler.leave(1)
    scheduler.leave(2)
    scheduler.hear(1, FRAME, 0.0)
    scheduler.hear(0, FRAME, 0.0)
    assert stepped(scheduler.next_action(0.0)) == [0]
    scheduler.leave(0)
    assert scheduler.next_action(1.0) == Wait(None)


def test_a_caller_who_sends_nothing_does_not_stop_the_others():
    scheduler = live(0, 1)
    served = 0
    for frame in range(200):
        now, end = frame * FRAME_SEC, (frame + 1) * FRAME_SEC
        scheduler.hear(0, FRAME, now)
        while now < end:
            action = scheduler.next_action(now)
            served += isinstance(action, Step)
            now += action.sec + 1e-6 if isinstance(action, Wait) and action.sec is not None else 0.001
    assert served >= 199
    assert scheduler.slots[0].frames.dropped == 0


def test_while_no_frame_comes_it_waits_for_one_and_steps_it_at_once_however_late():
    scheduler = live(0)
    scheduler.hear(0, FRAME, 0.0)
    scheduler.next_action(0.0)
    for now in (0.069, 0.08, 0.091, 0.1):
        assert scheduler.next_action(now) == Wait(None)
    scheduler.hear(0, FRAME, 0.11)
    assert isinstance(scheduler.next_action(0.11), Step)


def test_with_nobody_live_slow_chunks_neither_wait_for_ever_nor_keep_clips_waiting():
    scheduler = live(0, paced=False)
    scheduler.prepare(1)
    scheduler.hear(0, np.zeros(1920, dtype=np.float32), 0.0)
    turns: list[object] = []
    for number in range(6):
        action = scheduler.next_action(float(number))
        turns.append(type(action))
        scheduler.spent(action, 1.0)  # far longer than a frame
        scheduler.hear(0, np.zeros(1920, dtype=np.float32), float(number))
    assert turns == [Prepare, Step] * 3
