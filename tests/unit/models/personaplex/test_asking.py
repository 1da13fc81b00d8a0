"""The tiny PersonaPlex asks, by forced tokens: filler, answer, apology, and nothing of the marker."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from personaplex_ui.audio.frames import Frame, silent_frame
from personaplex_ui.calls.clip_call import ClipCall
from personaplex_ui.calls.cues import Cues
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.store import CallStore
from personaplex_ui.engine.engine import Engine, EngineState
from personaplex_ui.engine.speech_model import Persona
from personaplex_ui.models.personaplex.model import PersonaPlexModel
from personaplex_ui.routing.counts import Outcome
from personaplex_ui.routing.router import NO_WORDS, TOO_SLOW, AskOptions, Router
from personaplex_ui.speech.loading import Endpoint, Sources, SpeechParts
from tests.support.clock import Clock
from tests.support.running import until
from tests.unit.speech.replies.conftest import KEY, ChatServer, streamed

FILLER = "One moment, let me check."
ANSWER = "It costs ten dollars. That is all."


@pytest.fixture
def chat_server() -> Iterator[ChatServer]:
    server = ChatServer()
    yield server
    server.stop()


class Caller:
    """Listens as long as the call lasts."""

    def __init__(self, call: ClipCall, router: Router) -> None:
        self.call = call
        self.router = router
        self.frames: list[Frame] = []

    async def listen(self) -> None:
        while not self.call.over.is_set():
            self.call.hear(silent_frame())
            frame = await self.call.next_answer()
            assert frame is not None
            self.frames.append(frame)

    @property
    def shown(self) -> str:
        return "".join(self.call.transcript.pieces)

    async def force_marker(self, text: str = "!!!") -> Outcome:
        """The assistant says ``text``; returns how asking ended."""
        outcomes = self.router.counts.outcomes
        before = outcomes.copy()
        await self.call.speak(text, typed=False)
        await until(lambda: outcomes != before and not self.router.is_asking(self.call), 60)
        [outcome] = (outcomes - before).elements()
        return outcome


@asynccontextmanager
async def calling(
    model: PersonaPlexModel, folder: Path, url: str, limit_sec: float = 20.0
) -> AsyncGenerator[Caller]:
    engine = Engine(lambda report: model, model.slots)
    await engine.start()
    await until(lambda: engine.state is EngineState.READY)
    speech = SpeechParts(Sources(1, llm=Endpoint(url, KEY, "small")))
    manager = CallManager(engine, CallStore(folder, 3600, Clock()), 60, cues=Cues(ask=("!!!",)))
    router = Router(speech, AskOptions(FILLER, limit_sec))
    manager.on_begin.append(router.attend)
    call = manager.open_clip(CallSettings(Persona("NATF0", "You are kind. Say !!! to ask.")))
    await call.live.wait()
    caller = Caller(call, router)
    listening = asyncio.create_task(caller.listen())
    try:
        yield caller
    finally:
        call.hang_up("Done.")
        await asyncio.gather(listening, return_exceptions=True)
        await manager.close()
        speech.queue.close()
        await engine.close()


async def test_filler_and_answer_and_nothing_of_the_marker(
    model: PersonaPlexModel, tmp_path: Path, chat_server: ChatServer
) -> None:
    chat_server.script = (streamed(*ANSWER.partition(" ")),)
    async with calling(model, tmp_path, chat_server.url) as caller:
        caller.call.conversation.hear_words(" What does it cost?", 0.0, 1.0)
        assert await caller.force_marker("check!!!") is Outcome.ANSWERED
        await until(lambda: "is all." in caller.shown)
        shown = caller.shown
        assert "!!!" not in shown
        places = [shown.find(each) for each in (" check", FILLER, "It costs ten dollars.", "That is all.")]
        assert -1 not in places
        assert places == sorted(places)
        assert chat_server.requests[0]["messages"][-1]["content"].endswith("What does it cost?")
        # Only to the first word of the filler is it silent, and what it says is heard.
        assert sum(bool(np.any(frame)) for frame in caller.frames) > len(caller.frames) / 2


async def test_apologies_for_what_takes_too_long_and_for_no_words(
    model: PersonaPlexModel, tmp_path: Path, chat_server: ChatServer
) -> None:
    hold = threading.Event()
    chat_server.script = (hold,)
    async with calling(model, tmp_path, chat_server.url, 0.5) as caller:
        assert await caller.force_marker() is Outcome.NO_WORDS
        await until(lambda: NO_WORDS in caller.shown, 30)
        caller.call.conversation.hear_words(" What does it cost?", 0.0, 1.0)
        assert await caller.force_marker() is Outcome.TIMED_OUT
        await until(lambda: TOO_SLOW in caller.shown, 30)
        assert "!!!" not in caller.shown
        hold.set()
