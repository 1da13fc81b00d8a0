"""A call on a fake model: its life, its sound, and what hurts. Nothing here waits for real conversations."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import numpy as np
import pytest

from personaplex_ui.calls.clip_call import ClipCall
from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.snapshot import End, Phase
from personaplex_ui.engine.engine import Engine
from personaplex_ui.engine.speech_model import Persona, Sampling
from personaplex_ui.errors import CallOver, InvalidInput
from tests.support.fake_model import FakeModel
from tests.support.running import running_engine

SETTINGS = CallSettings(Persona("NATF2", "Be kind."), record=False)


@pytest.fixture
def model() -> FakeModel:
    return FakeModel()


@pytest.fixture
async def engine(model: FakeModel) -> AsyncIterator[Engine]:
    async with running_engine(model, max_calls=1, max_waiting=2) as engine:
        yield engine
        assert (engine.slots.free, engine.slots.waiting) == (1, 0)
        assert model.joined == {}


def call_of(engine: Engine, settings: CallSettings = SETTINGS, max_sec: float = 600.0):
    call = LiveCall("c" * 22, settings, engine, max_sec)
    return call, asyncio.create_task(call.run())


@asynccontextmanager
async def live(engine: Engine, max_sec: float = 600.0) -> AsyncGenerator[LiveCall]:
    """A call that is hung up at the end, if it goes on."""
    call, running = call_of(engine, max_sec=max_sec)
    await call.live.wait()
    yield call
    call.hang_up("You hung up.")
    await running


def sound(value: float, samples: int = 1920) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.full(samples, value, dtype=np.float32)


# Its life --------------------------------------------------------------------------------------------


async def test_a_whole_call(engine: Engine):
    async with live(engine) as call:
        for value in (0.1, 0.2, 0.3):
            for quarter in range(4):
                call.hear(sound(value + quarter / 100, 480))
            frame = await call.next_answer()
            assert frame is not None
            assert (frame[0], frame[-1]) == (pytest.approx(value), pytest.approx(value + 0.03))
        assert call.snapshot().utterances[0].text == "word word word"
        call.hang_up("Enough.")
        call.hang_up("The server is shutting down.", End.SHUTDOWN)
    assert (call.phase, call.reason, call.end) == (Phase.ENDED, "Enough.", End.HUNG_UP)
    assert "".join(call.transcript.pieces).strip() == "word word word"
    with pytest.raises(CallOver):
        await call.speak("too late")


async def test_others_wait_and_are_told_their_place_and_then_get_the_slot(engine: Engine):
    async with live(engine) as first:
        (second, second_running), (third, third_running), (fourth, fourth_running) = (
            call_of(engine) for _ in range(3)
        )
        await fourth_running
        assert "try again" in fourth.reason
        assert fourth.end is End.REFUSED
        waiting = second.snapshot()
        assert (waiting.phase, waiting.place, waiting.waiting) == (Phase.WAITING, 1, 2)
        assert third.snapshot().place == 2
        await asyncio.sleep(0.1)
    await second.live.wait()
    assert (first.waited_sec < 1.0, second.waited_sec >= 0.09) == (True, True)  # a sleep may end early
    assert second.prepared_sec >= 0.0
    assert third.snapshot().place == 1
    for call in (third, second):
        call.hang_up("bye")
    await asyncio.gather(second_running, third_running)


async def test_hanging_up_in_any_phase_leaves_nothing(engine: Engine, model: FakeModel):
    model.chunks = 10**9
    for moment in range(12):
        call, running = call_of(engine)
        for _ in range(moment):
            await asyncio.sleep(0)
        call.hang_up("You hung up.")
        await running
        assert call.reason == "You hung up."
        assert (engine.slots.free, engine.slots.waiting, model.joined) == (1, 0, {})


async def test_a_cancelled_call_frees_its_slot(engine: Engine):
    call, running = call_of(engine)
    await call.live.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert call.over.is_set()
    assert call.end is End.SHUTDOWN


async def test_a_fault_of_the_model_ends_the_call_with_a_sentence(engine: Engine, model: FakeModel):
    async with live(engine) as call:
        model.fail_steps = 1
        call.hear(sound(0.1))
        await call.over.wait()
    assert "call again" in call.reason
    assert call.end is End.FAILED
    with pytest.raises(CallOver):
        await call.next_answer()


async def test_an_unknown_voice_ends_the_call_with_its_sentence(engine: Engine):
    call, running = call_of(engine, CallSettings(Persona("nobody", "")))
    await running
    assert "no voice" in call.reason
    assert isinstance(call.error, InvalidInput)


async def test_while_there_is_no_model_the_call_is_refused_with_words():
    call, running = call_of(Engine(lambda report: FakeModel(), 1))
    await running
    assert call.reason == "The speech model is being loaded."


async def test_a_call_that_ended_is_over_though_the_engine_hangs(engine: Engine, model: FakeModel):
    async with live(engine) as call:
        model.going.clear()
        call.hear(sound(0.1))
        await asyncio.sleep(0.05)
        call.hang_up("The speech engine stopped answering.", End.FAILED)
        async with asyncio.timeout(5):
            await call.over.wait()
        with pytest.raises(CallOver, match="stopped answering"):
            await call.next_answer()
        assert engine.slots.free == 0
        model.going.set()


async def test_the_time_limit_says_goodbye_first(engine: Engine, model: FakeModel):
    async with live(engine, max_sec=10.5) as call:
        while not (call.notes and model.spoken):
            call.hear(sound(0.0))
            await asyncio.sleep(0.08)
        assert model.spoken == [(0, "This call ends in ten seconds. Goodbye!")]
        assert call.snapshot().notes == ("This call ends in 10 seconds.",)


async def test_watchers_see_the_newest_state_and_the_end(engine: Engine):
    call, running = call_of(engine)

    async def watch() -> list[Phase]:
        return [snapshot.phase async for snapshot in call.watch()]

    watching = asyncio.create_task(watch())
    await call.live.wait()
    await asyncio.sleep(0.5)
    call.hang_up("bye")
    await running
    phases = await watching
    assert phases[-1] is Phase.ENDED
    assert Phase.LIVE in phases
    assert len(phases) < 8


async def test_sampling_changes_reach_the_model(engine: Engine, model: FakeModel):
    async with live(engine) as call:
        call.change_sampling(Sampling(audio_temperature=0.5))
        await call.speak("Hello.")
        assert model.joined[0][1].audio_temperature == 0.5
        assert model.spoken == [(0, "Hello.")]


# Its sound -------------------------------------------------------------------------------------------


async def test_after_a_stall_of_a_second_the_lag_is_what_it_was_and_the_drop_is_counted(
    engine: Engine, model: FakeModel
):
    async with live(engine) as call:
        talk = partial(lags_of, call, asyncio.get_running_loop().time())
        before = await talk(range(10))
        model.going.clear()
        await talk(range(10, 22))
        model.going.set()
        await talk(range(22, 40))
        after = await talk(range(40, 55))
        assert sorted(after)[len(after) // 2] <= max(1, sorted(before)[len(before) // 2])
        assert call.stats.dropped_heard >= 6
        assert call.stats.lag_frames <= 2


async def lags_of(call: LiveCall, begun: float, frames: range) -> list[int]:
    """Speaks and listens once in 80 ms; returns how many frames each answer came late."""
    lags: list[int] = []
    for number in frames:
        call.hear(sound(number))
        await asyncio.sleep(begun + (number + 1) * 0.08 - asyncio.get_running_loop().time())
        frame = await call.next_answer(0.001)
        if frame is not None:
            lags.append(number - int(frame[0]))
    return lags


async def test_a_listener_who_takes_nothing_holds_a_bounded_queue(engine: Engine):
    async with live(engine) as call:
        for number in range(12):
            call.hear(sound(number))
            await asyncio.sleep(0.08)
        assert call.stats.lag_frames <= 8
        assert call.stats.dropped_said >= 4
        frame = await call.next_answer()
        assert frame is not None
        assert frame[0] >= 4


async def test_a_clip_loses_no_frame_and_takes_no_real_time(engine: Engine):
    call = ClipCall("c" * 22, SETTINGS, engine)
    running = asyncio.create_task(call.run())
    await call.live.wait()
    for number in range(100):
        call.hear(sound(number))
        frame = await call.next_answer()
        assert frame is not None
        assert frame[0] == number
    assert call.elapsed_sec == pytest.approx(8.0)
    call.hang_up("The clip is over.")
    await running
    assert call.elapsed_sec == pytest.approx(8.0)
