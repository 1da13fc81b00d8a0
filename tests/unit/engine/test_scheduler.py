from dataclasses import dataclass, field

import numpy as np
import pytest

from personaplex_ui.audio.frames import FRAME_SEC
from personaplex_ui.engine.scheduler import Prepare, Scheduler, Step, Wait
from personaplex_ui.engine.tick_clock import JITTER_SEC

FRAME = np.zeros(1920, dtype=np.float32)
TICK = FRAME_SEC


def live(*slots: int, paced: bool = True) -> Scheduler:
    scheduler = Scheduler()
    for slot in slots:
        scheduler.join(slot, paced)
    return scheduler


def stepped(action: object) -> list[int]:
    assert isinstance(action, Step)
    return sorted(action.heard)


@dataclass
class Case:
    """``script``: at a time, frames of some callers come, and then this is done: a step of callers, a chunk
    of a preparation, or a wait until some time (None: for the next frame)."""

    live: tuple[int, ...]
    script: list[tuple[float, str, list[int] | Prepare | float | None]]
    clips: tuple[int, ...] = ()
    preparing: tuple[int, ...] = ()
    costs: dict[str, float] = field(default_factory=dict[str, float])


CASES = {
    "nobody is there": Case((), [(0.0, "", None)]),
    "a lone caller is stepped as soon as its frame is complete": Case(
        (0,), [(t * TICK, "0", [0]) for t in range(50)]
    ),
    "all are stepped together once the last is there": Case(
        (0, 1, 2), [(0.0, "0", JITTER_SEC), (0.004, "1", JITTER_SEC), (0.006, "2", [0, 1, 2])]
    ),
    "a late caller is waited for as long as jitter explains": Case(
        (0, 1), [(0.0, "0", JITTER_SEC), (JITTER_SEC, "", [0])]
    ),
    "one frame too many is stepped right after the tick that left it over": Case(
        (0,), [(0.0, "00", [0]), (0.001, "", [0]), (0.002, "", TICK - JITTER_SEC)]
    ),
    "a burst of more than two is not stepped ahead of time": Case(
        (0,), [(0.0, "000", [0]), (0.001, "", TICK - JITTER_SEC)]
    ),
    "a late frame waits for the next tick if that is nearer": Case(
        (0, 1),
        [(0.0, "0", JITTER_SEC), (0.013, "", [0]), (0.045, "1", TICK + JITTER_SEC), (TICK, "0", [0, 1])],
    ),
    "or if there is no time before it": Case(
        (0, 1),
        [(0.0, "0", JITTER_SEC), (0.013, "", [0]), (0.02, "1", TICK + JITTER_SEC), (TICK, "0", [0, 1])],
        costs={"step_sec": 0.075},
    ),
    "without frames it waits for one, and steps it however late": Case(
        (0,), [(0.0, "0", [0]), (0.069, "", None), (0.08, "", None), (0.1, "", None), (0.11, "0", [0])]
    ),
    "clips are stepped without waiting and ride along in ticks": Case(
        (0,), [(0.0, "1", [1]), (0.0, "01", [0, 1])], clips=(1,)
    ),
    "a clip never delays a live caller's tick": Case(
        (0,),
        [(0.0, "0", [0]), (0.02, "1", [1]), (0.05, "1", TICK - JITTER_SEC)],
        clips=(1,),
        costs={"step_sec": 0.03},
    ),
    "preparations take turns in the gaps": Case(
        (0,),
        [(0.0, "0", [0]), *((0.001, "", Prepare(slot)) for slot in (1, 2, 1, 2))],
        preparing=(1, 2),
    ),
    "a chunk too long for the gap still gets one turn a tick": Case(
        (0,),
        [(0.0, "0", [0]), (0.001, "", Prepare(1)), (0.002, "", TICK - JITTER_SEC)],
        preparing=(1,),
        costs={"chunk_sec": 0.5},
    ),
    "with nobody live, slow chunks and clips take turns": Case(
        (),
        [(float(t), "0", Prepare(1) if t % 2 == 0 else [0]) for t in range(6)],
        clips=(0,),
        preparing=(1,),
        costs={"chunk_sec": 1.0, "step_sec": 1.0},
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_is_done_when(case: Case):
    scheduler = live(*case.live)
    for slot in case.clips:
        scheduler.join(slot, paced=False)
    for slot in case.preparing:
        scheduler.prepare(slot)
    for name, sec in case.costs.items():
        setattr(scheduler, name, sec)
    for now, heard, expected in case.script:
        for slot in heard:
            scheduler.hear(int(slot), FRAME, now)
        action = scheduler.next_action(now)
        match expected:
            case list():
                assert stepped(action) == expected
            case Prepare() | None:
                assert action == (Wait(None) if expected is None else expected)
            case until:
                assert isinstance(action, Wait)
                assert action.sec == pytest.approx(until - now)


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


def test_clips_lose_no_frame():
    scheduler = live(0, paced=False)
    for _ in range(30):
        scheduler.hear(0, FRAME, 0.0)
    assert sum(isinstance(scheduler.next_action(0.0), Step) for _ in range(40)) == 30
    assert scheduler.slots[0].frames.dropped == 0


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
