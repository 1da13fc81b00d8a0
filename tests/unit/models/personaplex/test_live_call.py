"""A call on PersonaPlex, through the engine: what is forced is said, and new settings count from then on."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator

import numpy as np
import pytest

from personaplex_ui.audio.frames import Frame, Samples, silent_frame
from personaplex_ui.calls.clip_call import ClipCall
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.engine.engine import Engine, EngineState
from personaplex_ui.engine.speech_model import Persona, Sampling
from personaplex_ui.models.personaplex.model import PersonaPlexModel

SEEDED = CallSettings(Persona("NATF0", "Be kind."), Sampling(seed=7), record=False)
GREEDY = Sampling(seed=7, greedy=True)


@pytest.fixture
async def engine(model: PersonaPlexModel) -> AsyncIterator[Engine]:
    engine = Engine(lambda report: model, max_calls=2)
    await engine.start()
    while engine.state is EngineState.LOADING:
        await asyncio.sleep(0.005)
    yield engine
    await engine.close()


@contextlib.asynccontextmanager
async def live_call(engine: Engine) -> AsyncGenerator[ClipCall]:
    call = ClipCall("c" * 22, SEEDED, engine)
    running = asyncio.create_task(call.run())
    await call.live.wait()
    yield call
    call.hang_up("You hung up.")
    await running
    assert call.reason == "You hung up."


async def answers(call: ClipCall, frames: int) -> Samples:
    """Of so many frames in which the caller is silent: ``[frames, 1920]``."""
    heard: list[Frame] = []
    for _ in range(frames):
        call.hear(silent_frame())
        frame = await call.next_answer(20)
        assert frame is not None
        heard.append(frame)
    return np.stack(heard)


def said(call: ClipCall) -> str:
    return "".join(line.text for line in call.snapshot().utterances)


async def test_what_is_forced_is_said_in_its_order(engine: Engine):
    async with live_call(engine) as call:
        await answers(call, 5)
        assert "Good morning" not in said(call)
        before = len(said(call))
        await call.speak("Good morning.")
        await call.speak("Goodbye!")
        await answers(call, 40)
        assert " Good morning. Goodbye!" in said(call)[before:]
        after = len(said(call))
        await answers(call, 10)
        assert len(said(call)) > after  # and it goes on by itself


async def test_what_is_forced_upon_one_caller_is_not_said_to_another(engine: Engine):
    async with live_call(engine) as alone:
        unforced = await answers(alone, 30)
    async with live_call(engine) as one, live_call(engine) as other:
        await one.speak("Good morning.")
        forced, free = await asyncio.gather(answers(one, 30), answers(other, 30))
        assert "Good morning." in said(one)
        assert "Good morning." not in said(other)
        assert np.allclose(free, unforced, rtol=0, atol=1e-4)  # they are rounded otherwise in a batch of two
        assert not np.allclose(forced, unforced, rtol=0, atol=1e-2)


async def test_new_settings_count_from_the_next_frame(engine: Engine):
    async with live_call(engine) as call:
        unchanged = await answers(call, 20)
    for _ in range(2):
        async with live_call(engine) as call:
            before = await answers(call, 10)
            call.change_sampling(GREEDY)
            after = await answers(call, 10)
        assert np.array_equal(before, unchanged[:10])
        # What the first answer says was drawn before it was heard.
        assert np.abs(after - unchanged[10:]).max(axis=1)[1:].min() > 1e-2
