import asyncio
import threading
from collections.abc import AsyncIterator

import numpy as np
import pytest

from personaplex_ui.engine.engine import Engine, EngineState
from personaplex_ui.engine.slot import Slot
from personaplex_ui.engine.speech_model import Answer, Persona, Sampling
from personaplex_ui.errors import (
    EngineFailure,
    EngineUnavailable,
    InvalidInput,
    PersonaplexError,
    SpeakQueueFull,
)
from tests.support.fake_model import FakeModel

PERSONA = Persona("NATF2", "You enjoy having a good conversation.")


async def ready(engine: Engine) -> Engine:
    while engine.state is EngineState.LOADING:
        await asyncio.sleep(0.005)
    return engine


@pytest.fixture
def model() -> FakeModel:
    return FakeModel()


@pytest.fixture
async def engine(model: FakeModel) -> AsyncIterator[Engine]:
    engine = Engine(lambda report: model, 4)
    await engine.start()
    yield await ready(engine)
    model.going.set()
    await engine.close()


class Ear:
    """Collects what a seat is answered."""

    def __init__(self) -> None:
        self.answers: asyncio.Queue[Answer | PersonaplexError] = asyncio.Queue()
        self.progress: list[float] = []

    async def take(self, engine: Engine, slot: int, persona: Persona = PERSONA, paced: bool = True) -> Slot:
        return await engine.take_seat(
            slot, persona, Sampling(), self.answers.put_nowait, self.progress.append, paced
        )


def frame(value: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.full(1920, value, dtype=np.float32)


async def test_answers_come_back_on_the_event_loop_in_order(engine: Engine):
    ear = Ear()
    seat = await ear.take(engine, 0, paced=False)
    for value in range(20):
        seat.hear(frame(value))
        answer = await ear.answers.get()
        assert isinstance(answer, Answer)
        assert answer.frame[0] == value
    await seat.leave()


async def test_two_callers_are_stepped_in_one_batch_and_get_their_own(engine: Engine, model: FakeModel):
    one, two = Ear(), Ear()
    seats = [await one.take(engine, 0), await two.take(engine, 1)]
    for value in range(3):
        seats[0].hear(frame(value))
        seats[1].hear(frame(100 + value))
        first, second = await one.answers.get(), await two.answers.get()
        assert isinstance(first, Answer)
        assert isinstance(second, Answer)
        assert (first.frame[0], second.frame[0]) == (value, 100 + value)
    assert (0, 1) in model.steps


async def test_progress_of_a_preparation_is_told(model: FakeModel, engine: Engine):
    model.chunks = 4
    ear = Ear()
    await ear.take(engine, 0)
    assert ear.progress == [0.25, 0.5, 0.75, 1.0]
    assert model.joined[0] == (PERSONA, Sampling())


@pytest.mark.parametrize(
    ("persona", "error"),
    [
        (Persona("nobody", ""), InvalidInput),
        (Persona("NATF2", "break"), EngineFailure),
    ],
)
async def test_a_persona_that_cannot_be_prepared_is_refused_and_leaves_nothing(
    engine: Engine, model: FakeModel, persona: Persona, error: type[PersonaplexError]
):
    with pytest.raises(error):
        await Ear().take(engine, 0, persona)
    ear = Ear()
    seat = await ear.take(engine, 0)
    seat.hear(frame(1))
    assert isinstance(await ear.answers.get(), Answer)


async def test_a_caller_who_leaves_while_prepared_leaves_nothing(engine: Engine, model: FakeModel):
    model.chunks = 10**9
    taking = asyncio.create_task(Ear().take(engine, 0))
    await asyncio.sleep(0.05)
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    assert model.closed_preparations == 1
    assert model.joined == {}
    model.chunks = 1
    await Ear().take(engine, 0)


async def test_a_fault_of_the_model_ends_those_calls_and_not_the_engine(engine: Engine, model: FakeModel):
    ear = Ear()
    seat = await ear.take(engine, 0, paced=False)
    model.fail_steps = 1
    seat.hear(frame(1))
    assert isinstance(await ear.answers.get(), EngineFailure)
    await seat.leave()
    again = Ear()
    seat = await again.take(engine, 0, paced=False)
    seat.hear(frame(2))
    assert isinstance(await again.answers.get(), Answer)


async def test_leaving_twice_and_hearing_afterwards_harm_nobody(engine: Engine, model: FakeModel):
    ear = Ear()
    seat = await ear.take(engine, 0)
    await seat.leave()
    other = await Ear().take(engine, 0)
    await seat.leave()
    assert model.joined != {}
    await other.leave()
    seat.hear(frame(1))
    assert model.joined == {}


async def test_the_event_loop_goes_on_while_the_model_is_stuck(engine: Engine, model: FakeModel):
    ear = Ear()
    seat = await ear.take(engine, 0, paced=False)
    model.going.clear()
    seat.hear(frame(1))
    for _ in range(20):
        await asyncio.sleep(0.001)
        seat.hear(frame(2))
        seat.waiting_frames()
        engine.samples_to_skip(480)
    assert ear.answers.empty()
    model.going.set()
    assert isinstance(await ear.answers.get(), Answer)


async def test_speaking_and_its_full_queue(engine: Engine, model: FakeModel):
    seat = await Ear().take(engine, 2)
    await seat.speak("Good morning")
    assert model.spoken == [(2, "Good morning")]
    with pytest.raises(SpeakQueueFull):
        await seat.speak("one too many")


async def test_sampling_can_change_during_a_call(engine: Engine, model: FakeModel):
    seat = await Ear().take(engine, 0)
    seat.change_sampling(Sampling(text_temperature=0.1))
    await seat.speak("after it")
    assert model.joined[0][1] == Sampling(text_temperature=0.1)


async def test_while_it_loads_calls_are_refused_with_the_progress():
    going = threading.Event()

    def load(report: object) -> FakeModel:
        assert callable(report)
        report("Loading the weights.", 0.4)
        going.wait(10)
        return FakeModel()

    engine = Engine(load, 1)
    await engine.start()
    while engine.progress == 0.0:
        await asyncio.sleep(0.005)
    with pytest.raises(EngineUnavailable, match="Loading the weights"):
        await Ear().take(engine, 0)
    going.set()
    await ready(engine)
    await Ear().take(engine, 0)
    await engine.close()


@pytest.mark.parametrize("error", [EngineUnavailable("No GPU with room was found."), RuntimeError("secret")])
async def test_a_model_that_cannot_be_loaded_is_told_in_words(error: Exception):
    def load(report: object) -> FakeModel:
        raise error

    engine = await ready_after_start(Engine(load, 1))
    assert engine.state is EngineState.FAILED
    assert engine.message
    assert "secret" not in engine.message
    with pytest.raises(EngineUnavailable):
        _ = engine.model
    await engine.close()


async def ready_after_start(engine: Engine) -> Engine:
    await engine.start()
    return await ready(engine)


async def test_leaving_after_the_engine_closed_does_not_hang(model: FakeModel):
    engine = await ready_after_start(Engine(lambda report: model, 1))
    seat = await Ear().take(engine, 0)
    await engine.close()
    await seat.leave()
    assert model.joined == {}


async def test_after_a_failure_another_model_may_answer_until_the_first_can_be_loaded(model: FakeModel):
    def fail(report: object) -> FakeModel:
        raise EngineUnavailable("The hub is away.")

    engine = Engine(fail, 1)
    engine.load_again(fail)  # nothing has failed yet
    await engine.start()
    assert (await ready(engine)).state is EngineState.FAILED
    substitute = FakeModel()
    for _ in range(2):  # pressed twice
        engine.load_again(lambda report: substitute, instead=True)
    assert (await ready(engine)).model is substitute
    assert engine.failure == "The hub is away."

    ticket = engine.lines.ask(lambda: None)
    engine.load_again(lambda report: model)  # not while somebody is on
    assert engine.model is substitute
    engine.lines.release(ticket)
    engine.load_again(lambda report: model)
    assert (await ready(engine)).model is model
    assert engine.failure == ""
    seat = await Ear().take(engine, 0)
    await seat.leave()
    engine.load_again(fail)  # it is the one that was wanted
    assert engine.model is model
    assert sum(thread.name == "engine" for thread in threading.enumerate()) == 1
    await engine.close()


async def test_each_step_is_told_with_its_time_and_its_callers(engine: Engine):
    ticks: list[tuple[float, int]] = []
    engine.on_tick.append(lambda sec, callers: ticks.append((sec, callers)))
    ear = Ear()
    seat = await ear.take(engine, 0, paced=False)
    for value in range(2):
        seat.hear(frame(value))
        await ear.answers.get()
    await seat.leave()
    assert [callers for _, callers in ticks] == [1, 1]
    assert all(0 <= sec < 10 for sec, _ in ticks)
