"""Cues in whole calls: listeners are told, the transcript and the sound have nothing of them."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

import pytest

from personaplex_ui.audio.frames import Frame
from personaplex_ui.calls.cues import Cue, Cues
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.store import CallStore
from personaplex_ui.engine.engine import Engine
from personaplex_ui.engine.speech_model import Answer, Persona, Preparation
from tests.support.clock import Clock
from tests.support.fake_model import FakeModel
from tests.support.running import until
from tests.support.sounds import tone

SAYS = (" One", " moment", "!!!", "", " I", " look", "")
SETTINGS = CallSettings(Persona("NATF2", "Say !!! when you do not know."))
UNTOLD = CallSettings(Persona("NATF2", "Be kind."))


class Saying(FakeModel):
    """Says ``SAYS``, a piece a frame."""

    def __init__(self) -> None:
        super().__init__()
        self.said = 0

    def step(self, heard: Mapping[int, Frame], riding: Preparation | None = None) -> Mapping[int, Answer]:
        answers = {slot: Answer(frame, SAYS[self.said % len(SAYS)]) for slot, frame in heard.items()}
        self.said += 1
        return answers


@pytest.fixture
async def manager(tmp_path: Path) -> AsyncGenerator[CallManager]:
    engine = Engine(lambda report: Saying(), 1)
    manager = CallManager(engine, CallStore(tmp_path, 3600, Clock()), 60, cues=Cues(ask=("!!!",)))
    await engine.start()
    await until(lambda: engine.health.message == "")
    yield manager
    await manager.close()
    await engine.close()


@pytest.mark.parametrize(
    ("settings", "cues", "told", "text"),
    [
        (SETTINGS, None, [Cue.ASK], "One moment I look"),
        (SETTINGS, Cues(), [], "One moment!!! I look"),
        (UNTOLD, None, [], "One moment!!! I look"),
        (UNTOLD, Cues(human=("one moment",)), [Cue.HUMAN], "I look"),
    ],
)
async def test_a_live_call_gives_its_cues(
    manager: CallManager, settings: CallSettings, cues: Cues | None, told: list[Cue], text: str
) -> None:
    call = manager.open(settings, cues=cues)
    given: list[Cue] = []
    call.on_cue.append(given.append)
    await call.live.wait()
    frame = tone(0.08, 300)
    for _ in SAYS:
        call.hear(frame)
        assert await call.next_answer() is not None
    assert given == told
    call.hang_up("Bye.")
    await manager.ended(call)
    assert " ".join(call.transcript.utterances[0].text.split()) == text


async def test_a_clip_has_no_cues_in_its_text(manager: CallManager) -> None:
    begun: list[object] = []
    manager.on_begin.append(begun.append)
    call = manager.open_clip(SETTINGS)
    assert begun == [call]
    given: list[Cue] = []
    call.on_cue.append(given.append)
    await call.live.wait()
    for _ in SAYS:
        call.hear(tone(0.08, 300))
        assert await call.next_answer() is not None
    call.hang_up("Done.")
    await asyncio.wait_for(manager.ended(call), 10)
    assert "".join(call.transcript.pieces) == " One moment I look"
    assert given == [Cue.ASK]
