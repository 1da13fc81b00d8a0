"""A call on a fake model: its life, its sound, and what hurts. Nothing here waits for real conversations."""

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest

from personaplex_ui.calls.clip_call import ClipCall
from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.snapshot import End, Phase
from personaplex_ui.engine.engine import Engine, EngineState
from personaplex_ui.engine.speech_model import Persona, Sampling
from personaplex_ui.errors import CallOver
from tests.support.fake_model import FakeModel
from tests.support.running import until

SETTINGS = CallSettings(Persona("NATF2", "Be kind."), record=False)


@pytest.fixture
def model() -> FakeModel:
    return FakeModel()


@pytest.fixture
async def engine(model: FakeModel) -> AsyncIterator[Engine]:
    engine = Engine(lambda report: model, max_calls=1, max_waiting=2)
    await engine.start()
    await until(lambda: engine.state is EngineState.READY)
    yield engine
    model.going.set()
    await engine.close()


def call_of(engine: Engine, settings: CallSettings = SETTINGS, max_sec: float = 600.0):
    call = LiveCall("c" * 22, settings, engine, max_sec)
    return call, asyncio.create_task(call.run())


def sound(value: float, samples: int = 1920) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.full(samples, value, dtype=np.float32)


async def test_a_whole_call(engine: Engine, model: FakeModel):
    call, running = call_of(engine)
    await call.live.wait()
    for value in (0.1, 0.2, 0.3):
        for quarter in range(4):
            call.hear(sound(value + quarter / 100, 480))
        frame = await call.next_answer()
        assert frame is not None
        assert frame[0] == pytest.approx(value)
        assert frame[-1] == pytest.approx(value + 0.03)
    assert call.snapshot().utterances[0].text == "word word word"
    call.hang_up("You hung up.")
    await running
    assert (call.phase, call.reason) == (Phase.ENDED, "You hung up.")
    assert engine.slots.free == 1
    assert model.joined == {}


async def test_the_second_waits_and_is_told_its_place_then_gets_the_line(engine: Engine):
    first, first_running = call_of(engine)
    await first.live.wait()
    second, second_running = call_of(engine)
    third, third_running = call_of(engine)
    await until(lambda: third.snapshot().place == 2)
    assert (second.snapshot().phase, second.snapshot().place, second.snapshot().waiting) == (
        Phase.WAITING,
        1,
        2,
    )
    first.hang_up("bye")
    await second.live.wait()
    assert third.snapshot().place == 1
    third.hang_up("bye")
    second.hang_up("bye")
    await asyncio.gather(first_running, second_running, third_running)
    assert (engine.slots.free, engine.slots.waiting) == (1, 0)


async def test_a_full_queue_ends_the_call_with_words(engine: Engine):
    calls = [call_of(engine) for _ in range(4)]
    await calls[3][1]
    assert "try again" in calls[3][0].reason
    for call, running in calls:
        call.hang_up("bye")
        await running
    assert engine.slots.free == 1


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


async def test_a_cancelled_call_frees_its_line(engine: Engine, model: FakeModel):
    call, running = call_of(engine)
    await call.live.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert call.over.is_set()
    assert (engine.slots.free, model.joined) == (1, {})


async def test_a_fault_of_the_model_ends_the_call_with_a_sentence(engine: Engine, model: FakeModel):
    call, running = call_of(engine)
    await call.live.wait()
    model.fail_steps = 1
    call.hear(sound(0.1))
    await running
    assert "call again" in call.reason
    with pytest.raises(CallOver):
        await call.next_answer()


async def test_an_unknown_voice_ends_the_call_with_its_sentence(engine: Engine):
    call, running = call_of(engine, CallSettings(Persona("nobody", "")))
    await running
    assert "no voice" in call.reason
    assert engine.slots.free == 1


async def test_while_there_is_no_model_the_call_is_refused_with_words():
    engine = Engine(lambda report: FakeModel(), 1)
    call, running = call_of(engine)
    await running
    assert call.reason == "The speech model is being loaded."
    assert engine.slots.free == 1


async def test_after_a_stall_of_a_second_the_lag_is_what_it_was_and_the_drop_is_counted(
    engine: Engine, model: FakeModel
):
    call, running = call_of(engine)
    await call.live.wait()

    begun = asyncio.get_running_loop().time()

    async def talk(frames: range) -> list[int]:
        """Speak and listen once in 80 ms; returns how many frames each answer came late."""
        lags: list[int] = []
        for number in frames:
            call.hear(sound(number))
            await asyncio.sleep(begun + (number + 1) * 0.08 - asyncio.get_running_loop().time())
            frame = await call.next_answer(0.001)
            if frame is not None:
                lags.append(number - int(frame[0]))
        return lags

    before = await talk(range(10))
    model.going.clear()
    await talk(range(10, 22))
    model.going.set()
    await talk(range(22, 40))
    after = await talk(range(40, 55))
    assert sorted(after)[len(after) // 2] <= max(1, sorted(before)[len(before) // 2])
    assert call.snapshot().stats.dropped_heard >= 6
    assert call.snapshot().stats.lag_frames <= 2
    call.hang_up("bye")
    await running


async def test_a_listener_who_takes_nothing_holds_a_bounded_queue(engine: Engine):
    call, running = call_of(engine)
    await call.live.wait()
    for number in range(12):
        call.hear(sound(number))
        await asyncio.sleep(0.08)
    figures = call.snapshot().stats
    assert figures.lag_frames <= 8
    assert figures.dropped_said >= 4
    frame = await call.next_answer()
    assert frame is not None
    assert frame[0] >= 4
    call.hang_up("bye")
    await running


async def test_the_time_limit_says_goodbye_first(engine: Engine, model: FakeModel):
    call, running = call_of(engine, max_sec=10.5)
    await call.live.wait()
    while not running.done():
        call.hear(sound(0.0))
        await asyncio.sleep(0.08)
        if call.notes and model.spoken:
            break
    assert model.spoken == [(0, "This call ends in ten seconds. Goodbye!")]
    assert call.snapshot().notes == ("This call ends in 10 seconds.",)
    call.hang_up("bye")
    await running


async def test_watchers_see_the_newest_state_and_the_end(engine: Engine):
    call, running = call_of(engine)
    phases: list[Phase] = []

    async def watch() -> None:
        async for snapshot in call.watch():
            phases.append(snapshot.phase)

    watching = asyncio.create_task(watch())
    await call.live.wait()
    await asyncio.sleep(0.5)
    call.hang_up("bye")
    await asyncio.gather(running, watching)
    assert phases[-1] is Phase.ENDED
    assert Phase.LIVE in phases
    assert len(phases) < 8


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


async def test_sampling_changes_reach_the_model(engine: Engine, model: FakeModel):
    call, running = call_of(engine)
    await call.live.wait()
    call.change_sampling(Sampling(audio_temperature=0.5))
    await call.speak("Hello.")
    assert model.joined[0][1].audio_temperature == 0.5
    assert model.spoken == [(0, "Hello.")]
    call.hang_up("bye")
    await running
    with pytest.raises(CallOver):
        await call.speak("too late")


async def test_the_kind_of_end_is_told_beside_the_sentence(engine: Engine, model: FakeModel):
    call, running = call_of(engine)
    await call.live.wait()
    call.hang_up("Enough.")
    call.hang_up("The server is shutting down.", End.SHUTDOWN)
    await running
    assert (call.reason, call.end) == ("Enough.", End.HUNG_UP)

    holder, holding = call_of(engine)
    await holder.live.wait()
    waiting = [call_of(engine) for _ in range(3)]
    await waiting[2][1]
    assert waiting[2][0].end is End.REFUSED
    for other, task in waiting[:2]:
        other.hang_up("bye")
        await task

    model.fail_steps = 1
    holder.hear(sound(0.1))
    await holding
    assert holder.end is End.FAILED

    cancelled, task = call_of(engine)
    await cancelled.live.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cancelled.end is End.SHUTDOWN


async def test_pieces_are_the_transcript_as_it_comes(engine: Engine):
    call, running = call_of(engine)
    await call.live.wait()
    for value in (0.1, 0.2):
        call.hear(sound(value))
        await call.next_answer()
    call.hang_up("bye")
    await running
    assert "".join(call.transcript.pieces).strip() == call.snapshot().utterances[0].text


async def test_waiting_and_preparing_are_timed(engine: Engine):
    first, first_running = call_of(engine)
    await first.live.wait()
    assert first.waited_sec < 1.0
    second, second_running = call_of(engine)
    await asyncio.sleep(0.1)
    first.hang_up("bye")
    await second.live.wait()
    assert second.waited_sec >= 0.09  # a sleep may end a little early
    assert second.prepared_sec >= 0.0
    second.hang_up("bye")
    await asyncio.gather(first_running, second_running)


async def test_a_call_that_ended_is_over_though_the_engine_hangs(engine: Engine, model: FakeModel):
    call, running = call_of(engine)
    await call.live.wait()
    model.going.clear()
    call.hear(sound(0.1))
    await asyncio.sleep(0.05)
    call.hang_up("The speech engine stopped answering.", End.FAILED)
    async with asyncio.timeout(5):
        await call.over.wait()
    with pytest.raises(CallOver, match="stopped answering"):
        await call.next_answer()
    assert not running.done()
    model.going.set()
    await running
    assert engine.slots.free == 1
