"""A whole call with the echo engine in real time: its greeting is interrupted, it answers, and it says what
was typed. All of it is kept."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from personaplex_ui.calls.conversation import Conversation
from personaplex_ui.calls.conversation_lines import Line, Who
from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.record import record_of
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.engine.engine import Engine, EngineState
from personaplex_ui.engine.speech_model import Persona
from personaplex_ui.errors import CallOver
from personaplex_ui.models.echo.model import EchoModel
from personaplex_ui.models.echo.sentences import GREETING
from tests.support.running import running_call_manager, until

OWNER = "an owner"
CHUNK = 480


@pytest.fixture
async def call_manager(tmp_path: Path) -> AsyncIterator[CallManager]:
    engine = Engine(lambda report: EchoModel(1), 1)
    await engine.start()
    await until(lambda: engine.state is EngineState.READY)
    async with running_call_manager(engine, tmp_path) as call_manager:
        yield call_manager
    await engine.close()


class Caller:
    """Sends sound in real time, silence unless ``amplitude`` is set, and listens."""

    def __init__(self, call: LiveCall) -> None:
        self.amplitude = 0.0
        self._call = call

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._speak())
            tasks.create_task(self._listen())

    async def _speak(self) -> None:
        tone = np.sin(np.arange(CHUNK) * 0.1).astype(np.float32)
        clock = asyncio.get_running_loop().time
        due = clock()
        while not self._call.over.is_set():
            self._call.hear(tone * np.float32(self.amplitude))
            due += CHUNK / 24_000
            await asyncio.sleep(max(0.0, due - clock()))

    async def _listen(self) -> None:
        with suppress(CallOver):
            while True:
                await self._call.next_answer()


def said(conversation: Conversation, who: Who) -> list[Line]:
    return [line for line in conversation.lines if line.who is who]


async def test_an_interrupted_greeting_an_answer_and_a_typed_text(call_manager: CallManager):
    call = call_manager.open(CallSettings(Persona("NATF2", "Be kind.")), OWNER)
    await call.live.wait()
    talk, caller = call.conversation, Caller(call)
    running = asyncio.create_task(caller.run())
    await until(lambda: len(said(talk, Who.ASSISTANT)) == 1 and len(talk.lines[0].text) > 8, 30)
    caller.amplitude = 0.3
    await until(lambda: talk.interruptions == 1, 30)
    caller.amplitude = 0.0
    await until(lambda: talk.answer_sec is not None and len(said(talk, Who.ASSISTANT)) == 2, 30)
    await call.speak("Good morning.")
    await until(lambda: said(talk, Who.ASSISTANT)[-1].text.endswith("Good morning."), 30)
    assert call.snapshot().lines_version == talk.version
    call.hang_up("You hung up.")
    await call_manager.ended(call)
    await running

    kept = call_manager.store.get(OWNER, call.call_id)
    assert kept is not None
    assert kept.lines == talk.lines
    greeting, interruption = kept.lines[:2]
    assert GREETING.startswith(greeting.text)
    assert (greeting.who, greeting.cut, interruption.who) == (Who.ASSISTANT, True, Who.CALLER)
    assert (interruption.interrupts, max(interruption.levels) >= 7) == (True, True)
    assert [line.text for line in said(talk, Who.TYPED)] == ["Good morning."]
    assert not any(line.open or line.cut for line in kept.lines[1:])
    told = record_of(kept, True, 0.0)
    assert told["figures"]["interruptions"] == 1
    assert told["figures"]["answer_sec"] == pytest.approx(talk.answer_sec, abs=0.01)
    assert len(told["turns"]["overlaps"]) == 1
    assert kept.text_prompt == "Be kind."
