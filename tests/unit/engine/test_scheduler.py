from dataclasses import dataclass, field

import numpy as np
import pytest

from personaplex_ui.audio.frames import FRAME_SEC
from personaplex_ui.engine.scheduler import ASK_AGAIN_SEC, RESERVE_SEC, Prepare, Scheduler, Step, Wait
from personaplex_ui.engine.speech_model import StepCosts
from personaplex_ui.engine.tick_clock import JITTER_SEC

FRAME = np.zeros(1920, dtype=np.float32)
TICK = FRAME_SEC


def live(*slots: int, paced: bool = True) -> Scheduler:
    """With callers whose first frames came before."""
    scheduler = Scheduler()
    for slot in slots:
        scheduler.join(slot, paced)
        scheduler.slots[slot].started = True
    return scheduler


def stepped(action: object) -> list[int]:
    assert isinstance(action, Step)
    return sorted(action.heard)


@dataclass(frozen=True)
class Riding:
    """A step of these callers in which the chunk of ``slot`` rides."""

    heard: list[int]
    slot: int


@dataclass
class Chunks:
    """Those of a recorded voice, or of a prompt that can ride; ``others`` is being read into the row for
    it."""

    in_prompt: bool
    others: bool = False

    @property
    def can_ride(self) -> bool:
        return self.in_prompt and not self.others


VOICE, PROMPT, OTHER_PROMPT = Chunks(False), Chunks(True), Chunks(True, others=True)
VOICE_FRAME = Prepare(1, in_prompt=False)


@dataclass
class Case:
    """``script``: at a time, frames of some callers come, and then this is done: a step of callers, a chunk
    of a preparation, or a wait until some time (None: for the next frame)."""

    live: tuple[int, ...]
    script: list[tuple[float, str, list[int] | Riding | Prepare | float | None]]
    clips: tuple[int, ...] = ()
    preparing: dict[int, Chunks] = field(default_factory=dict[int, Chunks])
    costs: StepCosts = field(default_factory=StepCosts)


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
        costs=StepCosts(step_sec=0.075),
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
        costs=StepCosts(step_sec=0.03),
    ),
    "nor does it begin while a frame may come any moment": Case(
        (0,),
        [(0.0, "0", [0]), (0.077, "1", 2 * TICK), (2 * TICK, "", [1])],
        clips=(1,),
    ),
    "preparations come one after the other in the gaps": Case(
        (0,),
        [(0.0, "0", [0]), *((0.001, "", VOICE_FRAME) for _ in range(4))],
        preparing={1: VOICE, 2: VOICE},
    ),
    "a chunk too long for the gap waits": Case(
        (0,),
        [(0.0, "0", [0]), (0.001, "", TICK - JITTER_SEC), (0.069, "", 2 * TICK), (TICK, "0", [0])],
        preparing={1: VOICE},
        costs=StepCosts(voice_sec=0.076),
    ),
    "one that fits before the next frames are expected is done": Case(
        (0,),
        [(0.0, "0", [0]), (0.001, "", VOICE_FRAME)],
        preparing={1: VOICE},
        costs=StepCosts(voice_sec=TICK - RESERVE_SEC - 0.0011),
    ),
    "a chunk rides in the tick if both fit into it": Case(
        (0, 1),
        [(0.0, "01", Riding([0, 1], 2)), (0.075, "", 2 * TICK), (TICK, "01", Riding([0, 1], 2))],
        preparing={2: PROMPT, 3: PROMPT},
        costs=StepCosts(step_sec=0.07, ride_sec=0.0059, chunk_sec=0.029),
    ),
    "and stays out if the tick would be too long": Case(
        (0, 1),
        [(0.0, "01", [0, 1]), (0.075, "", 2 * TICK), (TICK, "01", [0, 1])],
        preparing={2: PROMPT},
        costs=StepCosts(step_sec=0.07, ride_sec=0.0061, chunk_sec=0.029),
    ),
    "or began so late that it would delay the next": Case(
        (0,),
        [(0.0, "0", Riding([0], 1)), (0.11, "0", [0]), (2 * TICK, "0", Riding([0], 1))],
        preparing={1: PROMPT},
        costs=StepCosts(step_sec=0.06, ride_sec=0.006, chunk_sec=0.1),
    ),
    "a chunk that can ride is passed over for none that cannot": Case(
        (0,),
        [(0.0, "0", Riding([0], 2)), (0.03, "", TICK - JITTER_SEC), (TICK, "0", Riding([0], 2))],
        preparing={1: VOICE, 2: PROMPT},
        costs=StepCosts(step_sec=0.03, chunk_sec=0.1, voice_sec=0.1),
    ),
    "and one by itself is done where it fits, if that of the first in line does not": Case(
        (0,),
        [(0.0, "0", Riding([0], 2)), (0.03, "", Prepare(2))],
        preparing={1: VOICE, 2: PROMPT},
        costs=StepCosts(step_sec=0.03, chunk_sec=0.02, voice_sec=0.1),
    ),
    "a prompt that cannot ride waits for the one that can, however much time there is": Case(
        (0,),
        [(0.0, "0", Riding([0], 2)), (0.03, "", Prepare(2))],
        preparing={1: OTHER_PROMPT, 2: PROMPT},
    ),
    "unless there is none": Case(
        (0,),
        [(0.0, "0", [0]), (0.03, "", Prepare(1))],
        preparing={1: OTHER_PROMPT, 2: OTHER_PROMPT},
        costs=StepCosts(chunk_sec=0.03),
    ),
    "and it takes as long as any": Case(
        (0,),
        [(0.0, "0", [0]), (0.03, "", TICK - JITTER_SEC)],
        preparing={1: OTHER_PROMPT},
        costs=StepCosts(chunk_sec=0.05),
    ),
    "with nobody live, chunks ride with clips however long they take": Case(
        (),
        [(float(t), "0", Riding([0], 1)) for t in range(3)],
        clips=(0,),
        preparing={1: PROMPT},
        costs=StepCosts(step_sec=1.0, ride_sec=1.0, chunk_sec=1.0),
    ),
    "and run one after the other without them": Case(
        (),
        [(float(t), "", Prepare(1)) for t in range(3)],
        preparing={1: PROMPT},
        costs=StepCosts(chunk_sec=1.0),
    ),
    "callers who have fallen silent stop no preparation": Case(
        (0,),
        [(0.0, "0", [0]), (0.09, "", 2 * TICK), (2 * TICK, "", VOICE_FRAME)],
        preparing={1: VOICE},
        costs=StepCosts(voice_sec=0.079),
    ),
    "with nobody live, slow chunks and clips take turns": Case(
        (),
        [(float(t), "0", VOICE_FRAME if t % 2 == 0 else [0]) for t in range(6)],
        clips=(0,),
        preparing={1: VOICE},
        costs=StepCosts(step_sec=1.0, voice_sec=1.0),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_is_done_when(case: Case):
    scheduler = live(*case.live)
    scheduler.expect(case.costs, 8)
    for slot in case.clips:
        scheduler.join(slot, paced=False)
    for slot, chunks in case.preparing.items():
        scheduler.prepare(slot, chunks)
    for now, heard, expected in case.script:
        for slot in heard:
            scheduler.hear(int(slot), FRAME, now)
        action = scheduler.next_action(now)
        match expected:
            case list():
                assert stepped(action) == expected
                assert isinstance(action, Step)
                assert action.riding is None
            case Riding(heard_by, slot):
                assert stepped(action) == heard_by
                assert isinstance(action, Step)
                assert action.riding == slot
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
                scheduler.spent(action, step_sec, now + step_sec)
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


def test_nobody_waits_for_the_first_frame_of_a_caller_who_has_just_joined():
    scheduler = live(0)
    scheduler.join(1, paced=True)
    scheduler.hear(0, FRAME, 0.0)
    assert stepped(scheduler.next_action(0.0)) == [0]
    scheduler.hear(1, FRAME, 0.01)
    assert stepped(scheduler.next_action(0.01)) == [1]  # late for that tick
    scheduler.hear(0, FRAME, TICK)
    assert isinstance(scheduler.next_action(TICK), Wait)


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
    scheduler.prepare(2, VOICE)
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


def test_what_is_tried_is_measured_and_given_up_if_it_is_too_long():
    scheduler = live(0)
    scheduler.expect(StepCosts(step_sec=0.06, ride_sec=0.005, chunk_sec=0.1), 1)
    scheduler.prepare(1, PROMPT)
    rode: list[int] = []
    for tick in range(40):
        now = tick * FRAME_SEC
        scheduler.hear(0, FRAME, now)
        action = scheduler.next_action(now)
        assert isinstance(action, Step)
        scheduler.spent(action, 0.06 if action.riding is None else 0.1, now + 0.06)
        rode += [tick] * (action.riding is not None)
    assert rode == [0]


def test_a_joined_caller_is_counted_in_what_the_next_tick_will_take():
    scheduler = live(0)
    scheduler.expect(StepCosts(step_sec=0.075, ride_sec=0.003, chunk_sec=0.1), 2)
    scheduler.prepare(9, PROMPT)
    now = 0.0
    for _ in range(20):
        scheduler.hear(0, FRAME, now)
        action = scheduler.next_action(now)
        assert isinstance(action, Step)
        scheduler.spent(action, 0.04 if action.riding is None else 0.043, now + 0.04)
        now += FRAME_SEC
    scheduler.join(1, paced=True)
    for slot in (0, 1):
        scheduler.hear(slot, FRAME, now)
    action = scheduler.next_action(now)
    assert stepped(action) == [0, 1]
    assert isinstance(action, Step)
    assert action.riding is None


def test_whose_persona_makes_way_for_others_is_known():
    scheduler = live(0)
    scheduler.expect(StepCosts(step_sec=0.07, ride_sec=0.002, voice_sec=0.1), 1)
    scheduler.prepare(1, PROMPT)
    scheduler.prepare(2, VOICE)
    for tick in range(5):
        scheduler.hear(0, FRAME, tick * FRAME_SEC)
        assert isinstance(scheduler.next_action(tick * FRAME_SEC), Step)
    assert [scheduler.makes_way(slot) for slot in (0, 1, 2)] == [False, False, True]
    scheduler.leave(2)
    assert not scheduler.makes_way(2)


def test_a_clip_is_held_while_the_model_works_for_it_and_looked_at_again_before_long():
    scheduler = live(0, paced=False)
    working = {0}
    scheduler.works_for = working.__contains__
    scheduler.hear(0, FRAME, 0.0)
    assert scheduler.next_action(0.0) == Wait(ASK_AGAIN_SEC)
    working.clear()
    assert stepped(scheduler.next_action(0.01)) == [0]
    assert scheduler.next_action(0.01) == Wait(None)


def test_a_clip_that_is_held_keeps_nobody_waiting():
    scheduler = live(0)
    scheduler.join(1, paced=False)
    scheduler.works_for = {0, 1}.__contains__
    scheduler.hear(1, FRAME, 0.0)
    scheduler.hear(0, FRAME, 0.0)
    assert stepped(scheduler.next_action(TICK)) == [0]
    assert scheduler.waiting_frames(1)[0] == 1
    wait = scheduler.next_action(TICK)
    assert isinstance(wait, Wait)
    assert wait.sec is not None
    assert wait.sec <= ASK_AGAIN_SEC
