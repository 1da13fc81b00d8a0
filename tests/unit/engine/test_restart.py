"""An engine whose model hangs, fails or ends its thread: who is told, what is kept, what comes next."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping

import numpy as np
import pytest

from personaplex_ui.audio.frames import Frame
from personaplex_ui.engine import engine as worker
from personaplex_ui.engine.engine import Engine
from personaplex_ui.engine.health import EngineState
from personaplex_ui.engine.slot import Slot
from personaplex_ui.engine.speech_model import Answer, Persona, Preparation, PreparedPersona, Sampling
from personaplex_ui.engine.watch import LIMIT_SEC, Work
from personaplex_ui.errors import EngineFailure, EngineUnavailable, PersonaplexError
from tests.support.clock import Clock
from tests.support.fake_model import FakeModel
from tests.support.running import until

PERSONA = Persona("NATF2", "")


class Model(FakeModel):
    """``hang`` and ``fail``: the names of methods that do. What hangs goes on when ``awake`` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.hang: set[str] = set()
        self.fail: dict[str, BaseException] = {}
        self.bad_slots: set[int] = set()
        self.awake = threading.Event()
        self.recovered = 0
        self.after_waking = 0

    def _do(self, name: str) -> None:
        if name in self.hang:
            self.awake.wait(20)
            self.after_waking += 1
        if name in self.fail:
            raise self.fail[name]

    def prepare(self, persona: Persona) -> Preparation:
        self._do("begin")
        return self._prepared(persona)

    def _prepared(self, persona: Persona) -> Preparation:
        self._do("prepare")
        return (yield from super()._chunks(persona))

    def join(self, slot: int, persona: PreparedPersona, sampling: Sampling) -> None:
        self._do("join")
        super().join(slot, persona, sampling)

    def step(self, heard: Mapping[int, Frame]) -> Mapping[int, Answer]:
        self._do("step")
        if self.bad_slots & set(heard):
            raise RuntimeError("a fault of one caller")
        return super().step(heard)

    def leave(self, slot: int) -> None:
        self._do("leave")
        super().leave(slot)

    def recover(self) -> None:
        self.recovered += 1


class Place:
    """An engine whose models are made as it loads. ``next_model``: makes them."""

    def __init__(self) -> None:
        self.clock = Clock(0.0)
        self.models: list[Model] = []
        self.next_model: Callable[[], Model] = Model
        self.engine = Engine(self._load, 4, clock=self.clock, trial=PERSONA)

    def _load(self, report: object) -> Model:
        model = self.next_model()
        self.models.append(model)
        return model

    async def take(self, slot: int) -> tuple[Slot, "asyncio.Queue[Answer | PersonaplexError]"]:
        answers: asyncio.Queue[Answer | PersonaplexError] = asyncio.Queue()
        seat = await self.engine.take_seat(
            slot, PERSONA, Sampling(), answers.put_nowait, lambda progress: None, paced=False
        )
        return seat, answers

    async def wait(self, sec: float) -> None:
        """Let the engine be watched for so long."""
        for _ in range(round(sec / 0.5)):
            self.clock.now += 0.5
            self.engine.look()
            await asyncio.sleep(0)

    async def ready(self) -> None:
        await until(lambda: self.engine.state is EngineState.READY)

    async def can_be_used(self) -> None:
        await self.ready()
        seat, answers = await self.take(0)
        seat.hear(frame(7))
        answer = await answers.get()
        assert isinstance(answer, Answer)
        assert answer.frame[0] == 7
        await seat.leave()


def frame(value: float) -> Frame:
    return np.full(1920, value, dtype=np.float32)


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    place = Place()
    await place.engine.start()
    await place.ready()
    yield place
    for model in place.models:
        model.awake.set()
    await place.engine.close()


async def test_a_hanging_step_is_left_behind_and_touches_nothing_when_it_wakes(place: Place) -> None:
    (old,) = place.models
    seat, answers = await place.take(0)
    old.hang = {"step"}
    seat.hear(frame(1))
    await until(lambda: vars(place.engine)["_thread"].pulse.work is Work.STEP)
    await place.wait(LIMIT_SEC[Work.STEP] - 1)
    assert place.engine.state is EngineState.READY
    await place.wait(3)
    assert isinstance(await answers.get(), EngineFailure)
    await seat.leave()  # nobody waits for the model
    await place.can_be_used()
    assert len(place.models) == 2
    assert place.engine.figures.restarts == 1

    other, others_answers = await place.take(0)
    ticks = place.engine.figures.ticks
    old.awake.set()
    await until(lambda: old.after_waking == 1 and sum(t.name == "engine" for t in threading.enumerate()) == 1)
    await asyncio.sleep(0.05)
    assert (answers.empty(), others_answers.empty()) == (True, True)
    assert (place.engine.figures.ticks, place.engine.state) == (ticks, EngineState.READY)
    other.hear(frame(2))
    assert isinstance(await others_answers.get(), Answer)
    await other.leave()


@pytest.mark.parametrize("method", ["begin", "prepare", "join"])
async def test_a_hanging_preparation_ends_with_a_sentence(place: Place, method: str) -> None:
    place.models[0].hang = {method}
    taking = asyncio.create_task(place.take(0))
    await until(lambda: vars(place.engine)["_thread"].pulse.work is not None)
    await place.wait(LIMIT_SEC[Work.PREPARE] + 2)
    with pytest.raises(EngineFailure, match="is being restarted"):
        await taking
    await place.can_be_used()


async def test_a_model_that_does_not_let_go_keeps_nobody(place: Place) -> None:
    seat, _ = await place.take(0)
    place.models[0].hang = {"leave"}
    leaving = asyncio.create_task(seat.leave())
    await until(lambda: vars(place.engine)["_thread"].pulse.work is Work.COMMAND)
    await place.wait(LIMIT_SEC[Work.COMMAND] + 2)
    await leaving
    await place.can_be_used()


async def test_who_leaves_while_the_thread_is_left_behind_waits_for_nobody(place: Place) -> None:
    """The thread has let go, and the event loop has not heard it yet."""
    seat, _ = await place.take(0)
    leaving = asyncio.create_task(seat.leave())
    await asyncio.sleep(0)
    thread = vars(place.engine)["_thread"]
    while thread.seats or thread.pulse.work:
        time.sleep(0.001)  # noqa: ASYNC251  the event loop must not go on
    thread.pulse.failures = 3
    place.engine.look()
    await asyncio.wait_for(leaving, 5)
    await place.can_be_used()


async def test_a_preparation_without_end_is_ended(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "CLIP_PREPARED_WITHIN_SEC", 0.1)
    place.models[0].chunks = 10**9
    with pytest.raises(EngineFailure, match="not ready within"):
        await place.take(0)
    assert place.models[0].closed_preparations == 1
    place.models[0].chunks = 1
    await place.can_be_used()


@pytest.mark.parametrize("error", [RuntimeError("CUDA out of memory"), MemoryError()])
async def test_a_model_that_fails_is_kept_if_it_works_again(place: Place, error: Exception) -> None:
    (model,) = place.models
    for slot in range(3):
        seat, answers = await place.take(slot)
        model.fail = {"step": error}
        seat.hear(frame(1))
        assert isinstance(await answers.get(), EngineFailure)
        model.fail = {}
        await seat.leave()
    await place.wait(0.5)
    await place.can_be_used()
    assert place.models == [model]
    assert model.recovered == 1
    assert place.engine.figures.restarts == 1


async def test_else_another_one_is_loaded(place: Place) -> None:
    (old,) = place.models
    old.fail = {"step": RuntimeError("CUDA error")}
    for slot in range(3):
        seat, _ = await place.take(slot)
        seat.hear(frame(1))
    await until(lambda: vars(place.engine)["_thread"].pulse.failures >= 3)
    await place.wait(0.5)
    await place.can_be_used()
    assert len(place.models) == 2


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), GeneratorExit()])
@pytest.mark.parametrize("method", ["step", "prepare"])
async def test_a_thread_that_ends_is_replaced(place: Place, method: str, error: BaseException) -> None:
    (model,) = place.models
    if method == "prepare":
        model.fail = {method: error}
        taking = asyncio.create_task(place.take(0))
    else:
        seat, _ = await place.take(0)
        model.fail = {method: error}
        seat.hear(frame(1))
        taking = None
    await until(lambda: vars(place.engine)["_thread"].died)
    model.fail = {}
    await place.wait(0.5)
    if taking is not None:
        with pytest.raises(EngineFailure):
            await taking
    await place.can_be_used()


async def test_one_bad_caller_does_not_end_the_others(place: Place) -> None:
    (model,) = place.models
    (good, good_answers), (bad, bad_answers) = await place.take(0), await place.take(1)
    model.bad_slots = {1}
    model.going.clear()
    for value in range(6):
        good.hear(frame(value))
        bad.hear(frame(value))
    model.going.set()
    for value in range(6):
        answer = await good_answers.get()
        assert isinstance(answer, Answer)
        assert answer.frame[0] == value
    assert isinstance(await bad_answers.get(), EngineFailure)
    await bad.leave()
    await good.leave()
    await place.wait(1)
    assert place.engine.figures.restarts == 0


async def test_voices_that_cannot_be_prepared_bring_nothing_down(place: Place) -> None:
    (model,) = place.models
    told: list[str] = []
    place.engine.start_anew = lambda why: told.append(why) or ""
    for _ in range(3):
        for slot in range(3):
            model.fail = {"prepare": RuntimeError("a voice of noise")}
            with pytest.raises(EngineFailure):
                await place.take(slot)
        model.fail = {}
        await place.wait(0.5)
        await place.ready()
    await place.can_be_used()
    assert place.models == [model]
    assert told == []


# Nothing helps ---------------------------------------------------------------------------------------


def bad_model() -> Model:
    model = Model()
    model.fail = {"step": RuntimeError("a broken GPU")}
    return model


async def break_down(place: Place) -> None:
    place.next_model = bad_model
    place.models[0].fail = {"step": RuntimeError("a broken GPU")}
    for slot in range(3):
        seat, answers = await place.take(slot)
        seat.hear(frame(1))
        assert isinstance(await answers.get(), EngineFailure)
        await seat.leave()
    await place.wait(0.5)


async def test_the_process_is_asked_to_start_anew(place: Place) -> None:
    told: list[str] = []
    place.engine.start_anew = lambda why: told.append(why) or ""
    await break_down(place)
    await until(lambda: place.engine.state is EngineState.DRAINING)
    assert len(told) == 1
    with pytest.raises(EngineUnavailable, match="starts anew"):
        await place.take(0)


@pytest.mark.parametrize("asked", [True, False])
async def test_else_it_stays_up_and_says_why(place: Place, asked: bool) -> None:
    if asked:
        place.engine.start_anew = lambda why: "It was started anew 3 times."
    await break_down(place)
    await until(lambda: place.engine.state is EngineState.FAILED)
    assert "A restart did not help" in place.engine.message
    await place.wait(30)  # and leaves it at that
    assert len(place.models) == 2
    # Somebody presses the button.
    place.next_model = Model
    place.engine.load_again(vars(place.engine)["_load"])
    await place.can_be_used()


async def test_a_restart_that_helped_for_a_moment_is_the_only_one(place: Place) -> None:
    for expected in (EngineState.READY, EngineState.FAILED):
        seat, _ = await place.take(0)
        place.models[-1].hang = {"step"}
        seat.hear(frame(1))
        await until(lambda: vars(place.engine)["_thread"].pulse.work is Work.STEP)
        await place.wait(7)
        await until(lambda expected=expected: place.engine.state is expected)
    assert len(place.models) == 2


@pytest.mark.parametrize("hangs", ["step", "leave", "prepare", "join"])
async def test_a_restart_that_hangs_is_given_up(place: Place, hangs: str) -> None:
    def hanging_model() -> Model:
        model = Model()
        model.hang = {hangs}
        return model

    place.next_model = hanging_model
    seat, _ = await place.take(0)
    place.models[0].hang = {"step"}
    seat.hear(frame(1))
    await until(lambda: vars(place.engine)["_thread"].pulse.work is Work.STEP)
    await place.wait(7)
    await until(lambda: len(place.models) == 2)
    await until(lambda: vars(place.engine)["_thread"].pulse.work is not Work.RELOAD)
    await place.wait(LIMIT_SEC[Work.PREPARE] + 2)
    assert place.engine.state is EngineState.FAILED


# Loading ---------------------------------------------------------------------------------------------


async def test_a_loading_that_makes_no_progress_is_told_and_may_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    going = threading.Event()

    def load(report: object) -> FakeModel:
        going.wait(20)
        return FakeModel()

    clock = Clock(0.0)
    engine = Engine(load, 1, clock=clock)
    await engine.start()
    for _ in range(round(LIMIT_SEC[Work.LOAD]) + 5):
        clock.now += 1
        engine.look()
    assert engine.state is EngineState.FAILED
    assert "no progress" in engine.message
    assert sum("no progress" in record.message for record in caplog.records) == 1
    going.set()
    await until(lambda: engine.state is EngineState.READY)
    await engine.close()


async def test_a_loading_that_hangs_can_be_tried_again() -> None:
    going = threading.Event()

    def hang(report: object) -> FakeModel:
        going.wait(20)
        return FakeModel()

    clock = Clock(0.0)
    engine = Engine(hang, 1, clock=clock)
    await engine.start()
    for _ in range(round(LIMIT_SEC[Work.LOAD]) + 5):
        clock.now += 1
        engine.look()
    model = FakeModel()
    engine.load_again(lambda report: model)
    await until(lambda: engine.state is EngineState.READY)
    going.set()
    await until(lambda: sum(thread.name == "engine" for thread in threading.enumerate()) == 1)
    assert engine.model is model
    await engine.close()


async def test_a_loader_that_ends_its_thread_has_failed() -> None:
    def load(report: object) -> FakeModel:
        raise SystemExit("a library's idea of an error")

    engine = Engine(load, 1)
    await engine.start()
    await until(lambda: engine.state is EngineState.FAILED)
    await engine.close()


async def test_the_end_waits_for_no_hanging_step(place: Place) -> None:
    seat, _ = await place.take(0)
    place.models[0].hang = {"step"}
    seat.hear(frame(1))
    await until(lambda: vars(place.engine)["_thread"].pulse.work is Work.STEP)
    await place.engine.close()
    await seat.leave()
