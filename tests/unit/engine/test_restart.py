"""An engine whose model hangs, fails or ends its thread: who is told, what is kept, what comes next."""

import asyncio
import threading
import time

import pytest

from personaplex_ui.engine import engine as engine_module
from personaplex_ui.engine.engine import Engine
from personaplex_ui.engine.health import EngineState
from personaplex_ui.engine.speech_model import Persona
from personaplex_ui.engine.supervisor import Work
from personaplex_ui.errors import EngineFailure, EngineUnavailable
from tests.support.clock import Clock
from tests.support.engine_rig import PERSONA, EngineRig, Model, frame, one_thread_is_left
from tests.support.fake_model import FakeModel
from tests.support.running import until

BROKEN = RuntimeError("a broken GPU")


async def fail_three_steps(rig: EngineRig, error: Exception = BROKEN) -> None:
    """And let the engine see it."""
    model = rig.models[-1]
    for slot in range(3):
        caller = await rig.take(slot)
        model.fail = {"step": error}
        assert isinstance(await caller.answer_to(1), EngineFailure)
        model.fail = {}
        await caller.slot.leave()
    await rig.watch_for(0.5)


async def test_a_hanging_step_is_left_behind_and_touches_nothing_when_it_wakes(rig: EngineRig) -> None:
    (old,) = rig.models
    caller = await rig.take()
    old.hang = {"step"}
    caller.slot.hear(frame(1))
    await rig.is_in(Work.STEP)
    await rig.watch_for(Work.STEP.limit_sec - 1)
    assert rig.engine.state is EngineState.READY
    await rig.watch_for(3)
    assert isinstance(await caller.answers.get(), EngineFailure)
    await caller.slot.leave()  # nobody waits for the model
    await rig.can_be_used()
    assert (len(rig.models), rig.engine.restarts) == (2, 1)

    other = await rig.take()
    steps: list[int] = []
    rig.engine.on_tick.append(lambda sec, callers: steps.append(callers))
    old.awake.set()
    await until(lambda: old.after_waking == 1)
    await one_thread_is_left()
    await asyncio.sleep(0.05)
    assert (caller.answers.empty(), other.answers.empty(), steps) == (True, True, [])
    assert rig.engine.state is EngineState.READY
    assert await other.answer_to(2) == 2


@pytest.mark.parametrize("method", ["begin", "prepare", "join"])
async def test_a_hanging_preparation_ends_with_a_sentence(rig: EngineRig, method: str) -> None:
    rig.models[0].hang = {method}
    taking = asyncio.create_task(rig.take())
    await until(lambda: rig.thread.pulse.work is not None)
    await rig.watch_for(Work.PREPARE.limit_sec + 2)
    with pytest.raises(EngineFailure, match="is being restarted"):
        await taking
    await rig.can_be_used()


async def test_a_model_that_does_not_let_go_keeps_nobody(rig: EngineRig) -> None:
    caller = await rig.take()
    rig.models[0].hang = {"leave"}
    leaving = asyncio.create_task(caller.slot.leave())
    await rig.is_in(Work.COMMAND)
    waiting = asyncio.create_task(caller.slot.speak("never"))
    await rig.watch_for(Work.COMMAND.limit_sec + 2)
    await leaving
    with pytest.raises(EngineFailure, match="is being restarted"):
        await waiting
    await rig.can_be_used()


async def test_who_leaves_while_the_thread_is_left_behind_waits_for_nobody(rig: EngineRig) -> None:
    """The thread has let go, and the event loop has not heard it yet."""
    caller = await rig.take()
    leaving = asyncio.create_task(caller.slot.leave())
    await asyncio.sleep(0)
    while rig.thread.callers or rig.thread.pulse.work:
        time.sleep(0.001)  # noqa: ASYNC251  the event loop must not go on
    rig.thread.pulse.failures = 3
    rig.engine.look()
    await asyncio.wait_for(leaving, 5)
    await rig.can_be_used()


async def test_a_preparation_without_end_is_ended(rig: EngineRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "CLIP_PREPARED_WITHIN_SEC", 0.1)
    (model,) = rig.models
    model.chunks = 10**9
    with pytest.raises(EngineFailure, match="not ready within"):
        await rig.take()
    assert model.closed_preparations == 1
    model.chunks = 1
    await rig.can_be_used()


@pytest.mark.parametrize(
    ("error", "trial"),
    [
        (RuntimeError("CUDA out of memory"), PERSONA),
        (MemoryError(), PERSONA),
        (BROKEN, Persona("nobody", "")),  # it says nothing of the model
        (BROKEN, None),
    ],
)
async def test_a_model_that_fails_is_kept_if_it_works_again(
    rig: EngineRig, error: Exception, trial: Persona | None
) -> None:
    (model,) = rig.models
    rig.engine.trial = trial
    await fail_three_steps(rig, error)
    await rig.can_be_used()
    assert rig.models == [model]
    assert (model.recovered, rig.engine.restarts) == (1, 1)


async def test_else_another_one_is_loaded(rig: EngineRig) -> None:
    callers = [await rig.take(slot) for slot in range(3)]
    rig.models[0].fail = {"step": BROKEN}
    for caller in callers:
        caller.slot.hear(frame(1))
    await until(lambda: rig.thread.pulse.failures >= 3)
    await rig.watch_for(0.5)
    await rig.can_be_used()
    assert len(rig.models) == 2


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), GeneratorExit()])
@pytest.mark.parametrize("method", ["step", "prepare"])
async def test_a_thread_that_ends_is_replaced(rig: EngineRig, method: str, error: BaseException) -> None:
    (model,) = rig.models
    caller = await rig.take()
    model.fail = {method: error}
    taking = asyncio.create_task(rig.take(1)) if method == "prepare" else None
    caller.slot.hear(frame(1))
    await until(lambda: rig.engine.restarts == 1)
    model.fail = {}
    if taking is not None:
        with pytest.raises(EngineFailure):
            await taking
    await until(lambda: isinstance(caller.answers.get_nowait(), EngineFailure))
    await rig.can_be_used()


async def test_voices_that_cannot_be_prepared_bring_nothing_down(rig: EngineRig) -> None:
    (model,) = rig.models
    asked: list[str] = []
    rig.engine.restart_process = lambda why: asked.append(why) or ""
    for _ in range(3):
        model.fail = {"prepare": RuntimeError("a voice of noise")}
        for slot in range(3):
            with pytest.raises(EngineFailure):
                await rig.take(slot)
        model.fail = {}
        await rig.watch_for(0.5)
        await rig.ready()
    await rig.can_be_used()
    assert (rig.models, asked) == ([model], [])


# Nothing helps ---------------------------------------------------------------------------------------


def broken_model() -> Model:
    model = Model()
    model.fail = {"step": BROKEN}
    return model


async def break_down(rig: EngineRig) -> None:
    """The model and the one that replaces it fail in each step."""
    rig.next_model = broken_model
    callers = [await rig.take(slot) for slot in range(3)]
    rig.models[0].fail = {"step": BROKEN}
    for caller in callers:
        assert isinstance(await caller.answer_to(1), EngineFailure)
        await caller.slot.leave()
    await rig.watch_for(0.5)


async def test_the_process_is_asked_to_restart(rig: EngineRig) -> None:
    asked: list[str] = []
    rig.engine.restart_process = lambda why: asked.append(why) or ""
    await break_down(rig)
    await until(lambda: rig.engine.state is EngineState.DRAINING)
    assert len(asked) == 1
    with pytest.raises(EngineUnavailable, match="is restarting"):
        await rig.take()


@pytest.mark.parametrize("asked", [True, False])
async def test_else_it_stays_up_and_says_why(rig: EngineRig, asked: bool) -> None:
    if asked:
        rig.engine.restart_process = lambda why: "It has restarted itself 3 times."
    await break_down(rig)
    await until(lambda: rig.engine.state is EngineState.FAILED)
    assert "A restart did not help" in rig.engine.health.message
    await rig.watch_for(30)  # and leaves it at that
    assert len(rig.models) == 2
    # Somebody presses the button.
    rig.next_model = Model
    rig.engine.load_again(rig.load)
    await rig.can_be_used()


async def test_a_restart_that_helped_for_a_moment_is_the_only_one(rig: EngineRig) -> None:
    for expected in (EngineState.READY, EngineState.FAILED):
        caller = await rig.take()
        rig.models[-1].hang = {"step"}
        caller.slot.hear(frame(1))
        await rig.is_in(Work.STEP)
        await rig.watch_for(7)
        await until(lambda expected=expected: rig.engine.state is expected)
    assert len(rig.models) == 2


@pytest.mark.parametrize("hangs", ["step", "leave", "prepare", "join"])
async def test_a_restart_that_hangs_is_given_up(rig: EngineRig, hangs: str) -> None:
    rig.next_model = lambda: Model(hangs)
    caller = await rig.take()
    rig.models[0].hang = {"step"}
    caller.slot.hear(frame(1))
    await rig.is_in(Work.STEP)
    await rig.watch_for(7)
    await until(lambda: len(rig.models) == 2)
    await until(lambda: rig.thread.pulse.work is not Work.RELOAD)
    await rig.watch_for(Work.PREPARE.limit_sec + 2)
    assert rig.engine.state is EngineState.FAILED


async def test_the_end_waits_for_no_hanging_step(rig: EngineRig) -> None:
    caller = await rig.take()
    rig.models[0].hang = {"step"}
    caller.slot.hear(frame(1))
    await rig.is_in(Work.STEP)
    await rig.engine.close()
    await caller.slot.leave()


# Loading ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tried_again", [False, True])
async def test_a_loading_that_makes_no_progress_may_go_on_or_be_tried_again(
    caplog: pytest.LogCaptureFixture, tried_again: bool
) -> None:
    going = threading.Event()
    first, second = FakeModel(), FakeModel()

    def load(report: object) -> FakeModel:
        going.wait(20)
        return first

    clock = Clock(0.0)
    engine = Engine(load, 1, clock=clock)
    await engine.start()
    for _ in range(round(Work.LOAD.limit_sec) + 5):
        clock.now += 1
        engine.look()
    assert engine.state is EngineState.FAILED
    assert "no progress" in engine.health.message
    assert sum("no progress" in record.message for record in caplog.records) == 1
    if tried_again:
        engine.load_again(lambda report: second)
        await until(lambda: engine.state is EngineState.READY)
    going.set()
    await one_thread_is_left()
    await until(lambda: engine.state is EngineState.READY)
    assert engine.model is (second if tried_again else first)
    await engine.close()
