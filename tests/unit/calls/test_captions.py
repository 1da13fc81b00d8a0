"""The caller's words in calls: those of a model that hears them, those of a finder besides, and late ones."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from personaplex_ui.audio.frames import FRAME_SAMPLES, FRAME_SEC, Frame
from personaplex_ui.calls.captions import OWN_WORDS, Captions, CaptionsReport, OwnWords, TellWords, WordFinder
from personaplex_ui.calls.clip_call import ClipCall
from personaplex_ui.calls.conversation_lines import Line, Who
from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.store import CallStore
from personaplex_ui.engine.speech_model import Heard, Persona, SpeechModel
from tests.support.fake_model import FakeModel, HearingModel
from tests.support.running import running_engine, until

SETTINGS = CallSettings(Persona("NATF2", "Be kind."))
LOUD = np.full(FRAME_SAMPLES, 0.25, dtype=np.float32)


@dataclass
class FakeFinder:
    """``pending``: it has not found all words yet."""

    tell: TellWords
    role: str
    dropped: int = 0
    heard: list[float] = field(default_factory=list[float])
    finished: int = 0
    closed: int = 0
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, frame: Frame, start_sec: float) -> None:
        self.heard.append(start_sec)

    def finish(self) -> None:
        self.finished += 1

    def close(self) -> None:
        self.closed += 1
        self.done.set()

    async def settled(self) -> None:
        await self.done.wait()


class Besides(OwnWords):
    """Finders besides the model; its own words are not taken."""

    def __init__(self) -> None:
        self.finders: list[FakeFinder] = []

    def takes_own_words(self, model: SpeechModel) -> bool:
        return False

    def finder_for(self, model: SpeechModel, role: str, tell: TellWords) -> WordFinder | None:
        self.finders.append(FakeFinder(tell, role))
        return self.finders[-1]


@asynccontextmanager
async def manager_of(
    model: FakeModel, folder: Path, captions: Captions = OWN_WORDS
) -> AsyncGenerator[CallManager]:
    async with running_engine(model, 2, 2) as engine:
        manager = CallManager(engine, CallStore(folder, 3600.0, lambda: 0.0), 600.0, captions=captions)
        await manager.start()
        yield manager
        await manager.close()


async def talk(call: LiveCall, frames: int) -> None:
    """``frames`` of loud sound in real time."""
    for _ in range(frames):
        call.hear(LOUD)
        await call.next_answer()
        await asyncio.sleep(FRAME_SEC)


def callers(call: LiveCall | ClipCall) -> list[Line]:
    return [line for line in call.conversation.lines if line.who is Who.CALLER]


# Words of the model ----------------------------------------------------------------------------------


async def test_pieces_that_the_model_heard_are_the_callers_words(tmp_path: Path):
    late = [None] * 4
    model = HearingModel(*late, Heard(" Good", 4, 3), Heard(" mor", 3, 2), Heard("ning", 3, 2))
    async with manager_of(model, tmp_path) as manager:
        call = manager.open(SETTINGS)
        await call.live.wait()
        await talk(call, 8)
        assert [line.text for line in callers(call)] == ["Good morning"]
        assert call.transcript.utterances[0].text == "word" + 7 * " word"
        assert call.conversation.changed_since(0)[-1].text
        call.hang_up("You hung up.")
        await manager.ended(call)


async def test_where_no_words_are_wanted_none_are_kept(tmp_path: Path):
    async with manager_of(HearingModel(Heard(" secret", 1)), tmp_path, captions := Besides()) as manager:
        call = manager.open(SETTINGS)
        await call.live.wait()
        await talk(call, 3)
        assert [line.text for line in callers(call)] == [""]
        captions.finders[0].done.set()
        call.hang_up("You hung up.")
        await manager.ended(call)


async def test_a_clips_words_stand_at_the_times_of_the_clip(tmp_path: Path):
    async with manager_of(HearingModel(*[Heard(f" {n}", 1) for n in range(4)]), tmp_path) as manager:
        call = manager.open_clip(SETTINGS)
        await call.live.wait()
        for _ in range(4):
            call.hear(LOUD)
            await call.next_answer()
        [line] = callers(call)
        assert (line.text, line.start_sec, line.end_sec) == ("0 1 2 3", 0.0, pytest.approx(4 * FRAME_SEC))
        call.hang_up("The clip is over.")
        await manager.ended(call)


async def test_words_settled_waits_for_a_model_that_hears_a_little_later(tmp_path: Path):
    async with manager_of(HearingModel(), tmp_path) as manager:
        call = manager.open(SETTINGS)
        await call.live.wait()
        assert await call.words_settled(5.0)  # nothing was said
        await talk(call, 4)
        assert not await call.words_settled(0.01)
        call.hang_up("You hung up.")
        await manager.ended(call)
        assert await call.words_settled(0.0)


# Words found besides ---------------------------------------------------------------------------------


async def test_a_finder_hears_what_the_model_hears_and_knows_the_role(tmp_path: Path):
    async with manager_of(FakeModel(), tmp_path, captions := Besides()) as manager:
        call = manager.open(SETTINGS)
        await call.live.wait()
        [finder] = captions.finders
        assert finder.role == "Be kind."
        await talk(call, 6)
        assert len(finder.heard) == 6
        assert finder.heard == sorted(finder.heard)
        assert not await call.words_settled(0.01)
        finder.tell(" Hello there.", finder.heard[0], finder.heard[-1])
        finder.done.set()
        assert await call.words_settled(5.0)
        assert [line.text for line in callers(call)] == ["Hello there."]
        finder.dropped = 3
        assert call.snapshot().stats.dropped_utterances == 3
        call.hang_up("You hung up.")
        await manager.ended(call)
        assert (finder.finished, finder.closed) == (1, 1)
        assert call.stats.dropped_utterances == 3


async def test_the_last_words_are_waited_for_and_stored(tmp_path: Path):
    async with manager_of(FakeModel(), tmp_path, captions := Besides()) as manager:
        call = manager.open(SETTINGS, "an owner")
        await call.live.wait()
        await talk(call, 6)
        call.hang_up("You hung up.")
        await call.over.wait()
        [finder] = captions.finders
        await until(lambda: finder.finished == 1)
        assert manager.store.calls_of("an owner") == ()
        finder.tell(" Goodbye.", finder.heard[0], finder.heard[-1])
        finder.done.set()
        await manager.ended(call)
        [kept] = manager.store.calls_of("an owner")
        assert "Goodbye." in [line.text for line in kept.lines]
        reloaded = CallStore(tmp_path, 3600.0, lambda: 0.0)
        reloaded.load()
        [kept] = reloaded.calls_of("an owner")
        assert "Goodbye." in [line.text for line in kept.lines]


async def test_a_shutdown_does_not_wait_for_words(tmp_path: Path):
    async with manager_of(FakeModel(), tmp_path, captions := Besides()) as manager:
        call = manager.open(SETTINGS, "an owner")
        await call.live.wait()
        await talk(call, 3)
        async with asyncio.timeout(2.5):
            await manager.close()
        assert captions.finders[0].closed == 1
        assert len(manager.store.calls_of("an owner")) == 1


async def test_a_call_that_is_refused_has_no_finder(tmp_path: Path):
    async with manager_of(FakeModel(), tmp_path, captions := Besides()) as manager:
        call = manager.open(CallSettings(Persona("nobody", "")))
        await manager.ended(call)
        assert captions.finders == []


def test_the_words_of_the_model_are_told_of():
    assert OWN_WORDS.report(HearingModel()) == CaptionsReport("Kyutai's STT")
    assert OWN_WORDS.report(FakeModel()) == CaptionsReport()
