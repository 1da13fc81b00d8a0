"""Callers on an engine whose model is well, or fails now and then; and how it is loaded."""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from personaplex_ui.engine import engine as engine_module
from personaplex_ui.engine.engine import Engine, EngineState
from personaplex_ui.engine.speech_model import Answer, Persona, Sampling, StepCosts
from personaplex_ui.errors import (
    EngineFailure,
    EngineUnavailable,
    InvalidInput,
    PersonaplexError,
    SpeakQueueFull,
)
from tests.support.engine_rig import (
    PERSONA,
    EngineRig,
    Listener,
    Model,
    frame,
    one_thread_is_left,
    running_rig,
)
from tests.support.fake_model import FakeModel
from tests.support.running import until


def riding_model() -> Model:
    """Its chunks take too long for any gap, and ride in steps for nothing."""
    model = Model()
    model.gives_rides = True
    model.costs = StepCosts(chunk_sec=1.0)
    return model


def fewer_slots(slots: int) -> Model:
    model = Model()
    model.slots = slots
    return model


@asynccontextmanager
async def talking(listener: Listener, answered: list[float]) -> AsyncGenerator[None]:
    """Meanwhile ``listener``, who was answered once, sends a frame every 80 ms and its answers go into
    ``answered``."""
    assert await listener.answer_to(0) == 0

    async def talk() -> None:
        for value in range(1000):
            answer = await listener.answer_to(value)
            if isinstance(answer, PersonaplexError):
                listener.answers.put_nowait(answer)
                return
            answered.append(answer)
            await asyncio.sleep(0.08)

    task = asyncio.create_task(talk())
    yield
    task.cancel()
    await asyncio.wait([task])


async def test_answers_come_back_on_the_event_loop_in_order(rig: EngineRig):
    caller = await rig.take()
    assert [await caller.answer_to(value) for value in range(20)] == list(range(20))


async def test_two_callers_are_stepped_in_one_batch_and_get_their_own():
    async with running_rig(time.monotonic) as rig:
        one, two = await rig.take(0, paced=True), await rig.take(1, paced=True)
        for value in range(3):
            one.slot.hear(frame(value))
            assert await two.answer_to(100 + value) == 100 + value
            answer = await one.answers.get()
            assert isinstance(answer, Answer)
            assert answer.frame[0] == value
        assert (0, 1) in rig.models[0].steps


async def test_progress_of_a_preparation_is_told(rig: EngineRig):
    (model,) = rig.models
    model.chunks = 4
    assert (await rig.take()).progress == [0.25, 0.5, 0.75, 1.0]
    assert model.joined[0] == (PERSONA, Sampling())


@pytest.mark.parametrize("method", ["begin", "prepare", "join"])
@pytest.mark.parametrize("error", [InvalidInput("voice", "It is too short."), RuntimeError("a fault")])
async def test_a_persona_that_cannot_be_prepared_is_refused_and_leaves_nothing(
    rig: EngineRig, method: str, error: Exception
):
    (model,) = rig.models
    model.fail = {method: error}
    refused = InvalidInput if isinstance(error, InvalidInput) and method != "join" else EngineFailure
    with pytest.raises(refused):
        await rig.take()
    model.fail = {}
    await rig.can_be_used()


async def test_a_caller_who_leaves_while_prepared_leaves_nothing(rig: EngineRig):
    (model,) = rig.models
    model.chunks = 10**9
    taking = asyncio.create_task(rig.take())
    await asyncio.sleep(0.05)
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    assert (model.closed_preparations, model.joined) == (1, {})
    model.chunks = 1
    await rig.can_be_used()


async def test_a_fault_of_the_model_ends_those_calls_and_not_the_engine(rig: EngineRig):
    caller = await rig.take()
    rig.models[0].fail_steps = 1
    assert isinstance(await caller.answer_to(1), EngineFailure)
    await caller.slot.leave()
    await rig.can_be_used()


async def test_one_bad_caller_does_not_end_the_others(rig: EngineRig):
    (model,) = rig.models
    good, bad = await rig.take(0), await rig.take(1)
    model.bad_slots = {1}
    model.going.clear()
    for value in range(6):
        good.slot.hear(frame(value))
        bad.slot.hear(frame(value))
    model.going.set()
    answers = [await good.answers.get() for _ in range(6)]
    assert [answer.frame[0] for answer in answers if isinstance(answer, Answer)] == list(range(6))
    assert isinstance(await bad.answers.get(), EngineFailure)
    await rig.watch_for(1)
    assert rig.engine.restarts == 0


async def test_a_chunk_rides_in_the_steps_of_those_who_are_live():
    async with running_rig(time.monotonic, riding_model) as rig:
        (model,) = rig.models
        model.chunks = 3
        live = await rig.take(0, paced=True)
        answered: list[float] = []
        async with talking(live, answered):
            listener = await rig.take(1, Persona("NATM1", "Be kind."), paced=True)
        assert model.rides == [Persona("NATM1", "Be kind.")] * 3
        assert listener.progress == [1 / 3, 2 / 3, 1.0]
        assert answered == sorted(answered)
        assert model.closed_preparations == 0


@pytest.mark.parametrize("others", [0, 1])
async def test_a_persona_that_fails_in_a_step_ends_nobody_elses_call(others: int):
    async with running_rig(time.monotonic, riding_model) as rig:
        live = [await rig.take(slot, paced=True) for slot in range(1 + others)]
        async with AsyncExitStack() as stack:
            for listener in live:
                await stack.enter_async_context(talking(listener, []))
            with pytest.raises(EngineFailure):
                await rig.take(2, Persona("NATM1", "break"), paced=True)
        for listener in live:
            assert isinstance(await listener.answer_to(7), float)
        assert rig.models[0].closed_preparations == 1
        assert rig.engine.restarts == 0


async def test_a_caller_who_fails_in_a_step_does_not_take_the_riding_persona_along():
    async with running_rig(time.monotonic, riding_model) as rig:
        (model,) = rig.models
        model.chunks = 3
        bad, good = await rig.take(0, paced=True), await rig.take(1, paced=True)
        async with talking(bad, []), talking(good, answered := list[float]()):
            model.bad_slots = {0}
            prepared = await rig.take(2, paced=True)
            await until(lambda: not bad.answers.empty())
        assert isinstance(await bad.answers.get(), EngineFailure)
        assert answered
        assert prepared.progress == [1 / 3, 2 / 3, 1.0]


async def test_a_persona_for_which_live_calls_leave_no_time_is_refused_with_that_reason(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(engine_module, "PREPARED_WITHIN_SEC", 1.0)
    async with running_rig(time.monotonic, riding_model) as rig:
        (model,) = rig.models
        model.gives_rides = False
        live = await rig.take(0, paced=True)
        async with talking(live, []):
            with pytest.raises(
                EngineFailure, match="not ready within 1 seconds, since the server is too busy"
            ):
                await rig.take(1, paced=True)
        assert (model.closed_preparations, rig.thread.makes_way(1)) == (1, False)
        await live.slot.leave()
        await rig.can_be_used()


async def test_leaving_twice_and_hearing_afterwards_harm_nobody(rig: EngineRig):
    (model,) = rig.models
    first = await rig.take()
    await first.slot.leave()
    second = await rig.take()
    await first.slot.leave()
    assert model.joined != {}
    await second.slot.leave()
    first.slot.hear(frame(1))
    assert model.joined == {}


async def test_the_event_loop_goes_on_while_the_model_is_stuck(rig: EngineRig):
    caller = await rig.take()
    rig.models[0].going.clear()
    for _ in range(20):
        caller.slot.hear(frame(2))
        await asyncio.sleep(0.001)
        caller.slot.waiting_frames()
        caller.slot.samples_to_skip(480)
    assert caller.answers.empty()
    rig.models[0].going.set()
    assert isinstance(await caller.answers.get(), Answer)


async def test_speaking_and_its_full_queue(rig: EngineRig):
    caller = await rig.take(2)
    await caller.slot.speak("Good morning")
    assert rig.models[0].spoken == [(2, "Good morning")]
    with pytest.raises(SpeakQueueFull):
        await caller.slot.speak("one too many")


async def test_sampling_can_change_during_a_call(rig: EngineRig):
    caller = await rig.take()
    caller.slot.change_sampling(Sampling(text_temperature=0.1))
    await caller.slot.speak("after it")
    assert rig.models[0].joined[0][1] == Sampling(text_temperature=0.1)


async def test_each_step_is_told_with_its_time_and_its_callers(rig: EngineRig):
    ticks: list[tuple[float, int]] = []
    rig.engine.on_tick.append(lambda sec, callers: ticks.append((sec, callers)))
    caller = await rig.take()
    for value in range(2):
        await caller.answer_to(value)
    await caller.slot.leave()
    assert ticks == [(0.0, 1)] * 2  # the rig's clock stands


async def test_leaving_after_the_engine_closed_does_not_hang(rig: EngineRig):
    caller = await rig.take()
    await rig.engine.close()
    await caller.slot.leave()
    assert rig.models[0].joined == {}
    with pytest.raises(EngineFailure):
        await caller.slot.speak("too late")


# How many lines there are ----------------------------------------------------------------------------


async def test_there_are_as_many_slots_as_the_loaded_model_has():
    going = threading.Event()

    def load(report: object) -> FakeModel:
        going.wait(10)
        return FakeModel(slots=3)

    engine = Engine(load, 1)
    await engine.start()
    assert (engine.slots.capacity, engine.slots.free) == (1, 1)
    holder, waiting = engine.slots.request(lambda: None), engine.slots.request(lambda: None)
    assert (holder.slot, waiting.slot) == (0, None)
    going.set()
    await until(lambda: engine.state is EngineState.READY)
    assert (engine.slots.capacity, engine.slots.free, waiting.slot) == (3, 1, 1)
    await engine.close()


async def test_a_slot_that_another_model_does_not_have_is_refused(rig: EngineRig):
    caller = await rig.take(3)
    await caller.slot.leave()
    rig.next_model = lambda: fewer_slots(2)
    await rig.load_again()
    assert rig.engine.slots.capacity == 2
    with pytest.raises(EngineUnavailable, match="fewer lines"):
        await rig.take(3)
    await rig.can_be_used()


# Loading ---------------------------------------------------------------------------------------------


async def test_while_it_loads_calls_are_refused_with_the_progress():
    going = threading.Event()

    def load(report: object) -> Model:
        assert callable(report)
        report("Loading the weights.", 0.4)
        going.wait(10)
        return Model()

    rig = EngineRig()
    rig.engine = Engine(load, 1)
    with pytest.raises(EngineUnavailable):
        _ = rig.engine.model
    await rig.engine.start()
    await until(lambda: rig.engine.health.progress > 0)
    with pytest.raises(EngineUnavailable, match="Loading the weights"):
        await rig.take()
    going.set()
    await rig.can_be_used()
    await rig.close()


@pytest.mark.parametrize(
    "error", [EngineUnavailable("No GPU with room was found."), RuntimeError("secret"), SystemExit("secret")]
)
async def test_a_model_that_cannot_be_loaded_is_told_in_words(error: BaseException):
    def load(report: object) -> FakeModel:
        raise error

    engine = Engine(load, 1)
    await engine.start()
    await until(lambda: engine.state is EngineState.FAILED)
    assert engine.health.message
    assert "secret" not in engine.health.message
    with pytest.raises(EngineUnavailable):
        _ = engine.model
    await engine.close()


async def test_after_a_failure_another_model_may_answer_until_the_first_can_be_loaded():
    def fail(report: object) -> FakeModel:
        raise EngineUnavailable("The hub is away.")

    rig = EngineRig()
    engine = rig.engine = Engine(fail, 1)
    engine.load_again(fail)  # nothing has failed yet
    await engine.start()
    await until(lambda: engine.state is EngineState.FAILED)
    substitute, model = FakeModel(), FakeModel()
    for _ in range(2):  # pressed twice
        engine.load_again(lambda report: substitute, instead=True)
    await rig.ready()
    assert (engine.model, engine.health.failure) == (substitute, "The hub is away.")

    request = engine.slots.request(lambda: None)
    engine.load_again(lambda report: model)  # not while somebody is on
    assert engine.model is substitute
    engine.slots.release(request)
    engine.load_again(lambda report: model)
    await rig.ready()
    assert (engine.model, engine.health.failure) == (model, "")
    await rig.can_be_used()
    engine.load_again(fail)  # it is the one that was wanted
    assert engine.model is model
    await one_thread_is_left()
    await engine.close()


async def test_a_model_that_stands_in_is_told_and_the_wanted_one_can_be_tried_again():
    class StandingIn(FakeModel):
        stands_in_because = "The cascade cannot answer: the hub is away."

    loads = [StandingIn(), FakeModel()]
    engine = Engine(lambda report: loads.pop(0), 4)
    await engine.start()
    await until(lambda: engine.state is EngineState.READY)
    assert engine.health.failure == StandingIn.stands_in_because
    engine.load_again(lambda report: loads.pop(0))
    await until(lambda: engine.state is EngineState.READY)
    assert engine.health.failure == ""
    await engine.close()
