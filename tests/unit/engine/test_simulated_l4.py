"""Live calls on an L4 while personas are prepared, on a simulated clock: nobody who is live pays for it."""

import random
from dataclasses import replace

import pytest

from personaplex_ui.audio.frames import FRAME_SEC
from personaplex_ui.engine.scheduler import RESERVE_SEC, Action, Prepare, Scheduler, Step, Wait
from tests.support.simulated_engine import SimulatedCall, SimulatedEngine
from tests.support.simulated_model import L4_INT8, L4_INT8_MORE_KERNELS, Machine

ROLE_CHUNKS = 10
"""Of 16 positions: the voice and a role of a few sentences."""

FOR_EVER = 10**6
MACHINES = pytest.mark.parametrize("machine", [L4_INT8, L4_INT8_MORE_KERNELS], ids=["63 ms", "72 ms"])


class OwingScheduler(Scheduler):
    """The rule that this one replaced: no chunk rides, and one is owed after every tick, fit or not."""

    owed = False

    def next_action(self, now: float) -> Action:
        action = super().next_action(now)
        first = next(
            (slot for slot, chunks in self._preparing if chunks.can_ride or not chunks.in_prompt), None
        )
        if isinstance(action, Step):
            self.owed = True
            return Step(action.heard)
        if isinstance(action, Wait) and self.owed and first is not None:
            self.owed = False
            return Prepare(first)
        return action


class LiveCalls:
    """Four calls that have been on for four minutes, on an engine with room for the personas of ten more."""

    def __init__(self, machine: Machine, scheduler: Scheduler | None = None) -> None:
        self.engine = SimulatedEngine(machine, 14, ROLE_CHUNKS, scheduler)
        self.calls = [self.engine.call(frames=FOR_EVER) for _ in range(4)]
        self.engine.run(5)
        self.engine.model.fill_windows()
        self.engine.run(5)
        self.forget()

    def forget(self) -> None:
        self.engine.ticks_sec.clear()
        self.engine.answered_sec.clear()
        self.engine.model.rides.clear()
        for call in self.calls:
            call.latencies_sec.clear()

    def run(self, sec: float) -> float:
        """Let ``sec`` seconds pass. Returns the longest that a live caller waited for an answer."""
        self.forget()
        self.engine.run(sec)
        return max(latency for call in self.calls for latency in call.latencies_sec)

    @property
    def dropped(self) -> int:
        return sum(queue.frames.dropped for queue in self.engine.scheduler.slots.values())


@MACHINES
def test_ten_personas_at_once_cost_four_live_calls_no_frame_and_no_more_than_the_reserve(machine: Machine):
    live = LiveCalls(machine)
    before_sec = live.run(20)
    preparing = [live.engine.call() for _ in range(10)]
    assert live.run(20) <= before_sec + RESERVE_SEC
    assert max(live.engine.answered_sec) < FRAME_SEC
    assert live.dropped == 0
    ready = [call.prepared_sec for call in preparing if call.prepared_sec is not None]
    assert len(ready) == 10
    assert ready == sorted(ready)  # first come, first served
    assert ready[0] < (ROLE_CHUNKS + 1) * FRAME_SEC
    assert ready[-1] < (10 * ROLE_CHUNKS + 1) * FRAME_SEC
    assert len(live.engine.model.rides) == 10 * ROLE_CHUNKS


@MACHINES
def test_nor_do_ten_one_after_the_other(machine: Machine):
    live = LiveCalls(machine)
    before_sec = live.run(20)
    for _ in range(10):
        persona = live.engine.call()
        assert live.run(2) <= before_sec + RESERVE_SEC
        assert max(live.engine.answered_sec) < FRAME_SEC
        assert persona.prepared_sec is not None
        assert persona.prepared_sec < (ROLE_CHUNKS + 2) * FRAME_SEC
    assert live.dropped == 0


@MACHINES
def test_a_recorded_voice_goes_through_mimi_in_the_gaps_and_holds_up_no_other_persona(machine: Machine):
    live = LiveCalls(machine)
    before_sec = live.run(20)
    recorded, preset = live.engine.call("10 s"), live.engine.call()
    assert live.run(30) <= before_sec + RESERVE_SEC
    assert recorded.prepared_sec is not None
    assert preset.prepared_sec is not None
    assert preset.prepared_sec < (ROLE_CHUNKS + 2) * FRAME_SEC
    assert recorded.prepared_sec < 20
    assert live.dropped == 0


@MACHINES
def test_the_former_rule_answers_late(machine: Machine):
    """The control: the simulation can tell."""
    live = LiveCalls(machine, OwingScheduler())
    before_sec = live.run(20)
    for _ in range(10):
        live.engine.call()
    assert live.run(20) > before_sec + 0.05
    assert max(live.engine.answered_sec) > 1.3 * FRAME_SEC


def test_where_nothing_fits_nobody_live_pays_and_the_persona_is_ready_when_a_caller_leaves():
    live = LiveCalls(replace(L4_INT8, base=0.048))  # 76 ms with four
    before_sec = live.run(20)
    preset, recorded = live.engine.call(), live.engine.call("1 s")
    assert live.run(30) <= before_sec + RESERVE_SEC
    assert (preset.prepared_sec, live.dropped, live.engine.model.rides) == (None, 0, [])
    slots = sorted(live.engine.runner.callers)[-2:]
    assert [live.engine.scheduler.makes_way(slot) for slot in slots] == [True, True]
    live.calls[0].hang_up()
    live.engine.run(10)
    assert preset.prepared_sec is not None
    assert recorded.prepared_sec is not None
    assert live.engine.model.closed_preparations == 0


def test_who_hangs_up_before_the_persona_is_ready_leaves_nothing():
    live = LiveCalls(L4_INT8)
    impatient, patient = live.engine.call(), live.engine.call()
    live.engine.run(0.3)
    impatient.hang_up()
    live.engine.run(2)
    assert (impatient.prepared_sec, patient.prepared_sec is None) == (None, False)
    assert live.engine.model.closed_preparations == 1
    assert sorted(live.engine.runner.callers) == [0, 1, 2, 3]
    assert live.engine.pool.free == 10


def come_and_go(
    machine: Machine, seed: int, scheduler: Scheduler | None = None
) -> tuple[SimulatedEngine, list[SimulatedCall]]:
    """Callers and clips on four lines for five minutes, two more waiting for one, each with a persona of its
    own, and each with a full window's cost from the start."""
    engine = SimulatedEngine(replace(machine, fresh=machine.full), 4, ROLE_CHUNKS, scheduler)
    draw = random.Random(seed)
    calls: list[SimulatedCall] = []
    while engine.clock.now < 300:
        if sum(not call.over for call in calls) < 6:
            voice = draw.choice(["NATF2", "NATM1", "3 s", "8 s"])
            calls.append(engine.call(voice, draw.randint(50, 700), paced=draw.random() < 0.8))
        engine.run(draw.uniform(0.1, 4))
    engine.run(120)
    return engine, calls


def late_answers(engine: SimulatedEngine) -> int:
    return sum(answered_sec > FRAME_SEC for answered_sec in engine.answered_sec)


@MACHINES
@pytest.mark.parametrize("seed", range(3))
def test_callers_and_clips_come_and_go_for_minutes(machine: Machine, seed: int):
    engine, calls = come_and_go(machine, seed)
    assert len(calls) > 30
    assert all(call.over and not call.errors for call in calls)
    assert sum(call.dropped for call in calls) == 0
    assert max(engine.ticks_sec) < FRAME_SEC
    # As when the first frame of the only live caller comes during a step for clips.
    assert late_answers(engine) <= 3
    ready = [call.prepared_sec for call in calls if call.prepared_sec is not None]
    assert len(ready) == len(calls)
    assert max(ready) < 15
    assert (engine.runner.callers, engine.pool.free, engine.model.closed_preparations) == ({}, 4, 0)


@MACHINES
def test_under_the_former_rule_their_answers_are_late(machine: Machine):
    engine, _ = come_and_go(machine, 1, OwingScheduler())
    assert late_answers(engine) > 50
