"""Clips on a fake model: sound of equal length comes back, and whatever happens, the slot is free again."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from personaplex_ui.audio.frames import Samples
from personaplex_ui.calls.captions import OwnWords, TellWords
from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.snapshot import Phase, Snapshot
from personaplex_ui.calls.store import CallStore
from personaplex_ui.channels.clips import answer as clip
from personaplex_ui.channels.clips.answer import ClipAnswer, converse
from personaplex_ui.engine.engine import Engine
from personaplex_ui.engine.speech_model import Heard, Persona, Sampling, SpeechModel
from personaplex_ui.errors import EngineFailure, EngineUnavailable, PersonaplexError
from tests.support.fake_model import FakeModel, HearingModel
from tests.support.running import running_call_manager, running_engine, until

SETTINGS = CallSettings(Persona("NATF2", "Be kind."))


@pytest.fixture
async def call_manager(model: FakeModel, tmp_path: Path) -> AsyncIterator[CallManager]:
    """At the end of a test nothing of it is left."""
    async with (
        running_engine(model, max_calls=1, max_waiting=2) as engine,
        running_call_manager(engine, tmp_path / "recordings") as call_manager,
    ):
        yield call_manager
        model.going.set()
        await until(lambda: not call_manager.calls)
        assert (engine.slots.free, engine.slots.waiting) == (1, 0)
        assert model.joined == {}
        assert call_manager.store.calls_of("") == ()
        assert not (tmp_path / "recordings").exists()


@pytest.fixture
async def talker(call_manager: CallManager) -> AsyncIterator[LiveCall]:
    """Somebody has the only slot."""
    call = call_manager.open(SETTINGS)
    await call.live.wait()
    yield call
    call.hang_up("You hung up.")


def sound(samples: int) -> Samples:
    return np.linspace(-0.5, 0.5, samples, dtype=np.float32)


def ask(call_manager: CallManager, frames: int = 1) -> Coroutine[Any, Any, ClipAnswer]:
    return converse(sound(frames * 1_920), SETTINGS, call_manager)


async def hearing(call_manager: CallManager, model: FakeModel) -> "asyncio.Task[ClipAnswer]":
    """A clip of which the model hears the first frame, and does not go on."""
    model.going.clear()
    running = asyncio.create_task(ask(call_manager, 50))
    await until(lambda: 0 in model.joined)
    return running


async def cancel(task: "asyncio.Task[ClipAnswer]") -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("length", [0, 1, 1_919, 1_920, 1_921, 3_839, 3_840, 50_001, 200 * 1_920])
async def test_the_answer_is_as_long_as_the_clip_and_nothing_of_it_is_lost(
    call_manager: CallManager, model: FakeModel, length: int
):
    samples = sound(length)
    answer = await converse(samples, SETTINGS, call_manager)
    assert answer.samples.dtype == np.float32
    assert np.array_equal(answer.samples, samples)
    assert model.steps == [(0,)] * -(-length // 1_920)


async def test_the_transcript_is_on_the_clips_clock(call_manager: CallManager):
    [said] = (await ask(call_manager, 25)).utterances
    assert said.text == " ".join(["word"] * 25)
    assert 0.0 <= said.start_sec <= 0.25
    assert 2.0 - 0.25 <= said.end_sec <= 2.0 + 0.08 + 1e-6


async def test_persona_and_sampling_are_those_that_were_asked_for(
    call_manager: CallManager, model: FakeModel
):
    model.going.clear()
    settings = CallSettings(Persona("VARM3", "You are CitySan."), Sampling(seed=3, text_top_k=7))
    running = asyncio.create_task(converse(sound(1_920), settings, call_manager))
    await until(lambda: 0 in model.joined)
    assert model.joined[0] == (settings.persona, settings.sampling)
    model.going.set()
    await running


async def test_a_clip_waits_like_everyone_and_progress_is_told_to_the_end(
    call_manager: CallManager, talker: LiveCall
):
    told: list[tuple[Snapshot, float]] = []
    waiting = asyncio.create_task(
        converse(
            sound(100 * 1_920), SETTINGS, call_manager, lambda snapshot, part: told.append((snapshot, part))
        )
    )
    await until(lambda: bool(told) and told[-1][0].place == 1)
    assert {snapshot.phase for snapshot, _ in told} == {Phase.WAITING}
    talker.hang_up("You hung up.")
    assert len((await waiting).samples) == 100 * 1_920
    assert told[-1][0].phase is Phase.LIVE
    parts = [part for _, part in told]
    assert parts[0] == 0.0
    assert all(before <= after for before, after in pairwise(parts))
    assert len([part for part in parts if 0.0 < part <= 1.0]) >= 8
    assert parts[-1] > 0.9


@pytest.mark.usefixtures("talker")
async def test_cancelled_while_it_waits_it_leaves_the_queue(call_manager: CallManager):
    waiting = asyncio.create_task(ask(call_manager))
    await until(lambda: call_manager.engine.slots.waiting == 1)
    await cancel(waiting)
    await until(lambda: call_manager.engine.slots.waiting == 0)


async def test_cancelled_while_it_is_heard_it_frees_its_slot(call_manager: CallManager, model: FakeModel):
    await cancel(await hearing(call_manager, model))


async def test_a_fault_of_the_engine_is_told_in_a_sentence(call_manager: CallManager, model: FakeModel):
    model.fail_steps = 1
    with pytest.raises(EngineUnavailable, match="failed on our side") as failed:
        await ask(call_manager, 50)
    assert "a fault of the model" not in str(failed.value)
    assert len((await ask(call_manager)).samples) == 1_920


async def test_an_engine_that_is_stuck_does_not_keep_the_clip(
    call_manager: CallManager, model: FakeModel, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(clip, "ANSWER_WITHIN_SEC", 0.05)
    with pytest.raises(EngineUnavailable, match="stopped answering"):
        await (await hearing(call_manager, model))


async def test_a_server_that_closes_tells_the_clip(call_manager: CallManager, model: FakeModel):
    running = await hearing(call_manager, model)
    await asyncio.sleep(0.25)
    for call in call_manager.calls.values():
        call.hang_up("The server is shutting down.")
    model.going.set()
    with pytest.raises(EngineUnavailable, match="shutting down"):
        await running


@pytest.mark.usefixtures("talker")
async def test_with_the_queue_full_the_clip_is_refused(call_manager: CallManager):
    waiting = [call_manager.open(SETTINGS) for _ in range(2)]
    await until(lambda: call_manager.engine.slots.waiting == 2)
    with pytest.raises(PersonaplexError, match="try again"):
        await ask(call_manager)
    for call in waiting:
        call.hang_up("You hung up.")


async def test_an_unknown_voice_is_refused(call_manager: CallManager):
    with pytest.raises(PersonaplexError, match="no voice"):
        await converse(sound(1_920), CallSettings(Persona("nobody", "")), call_manager)


async def test_while_the_model_loads_the_clip_is_refused(tmp_path: Path):
    engine = Engine(lambda report: FakeModel(), 1)
    call_manager = CallManager(engine, CallStore(tmp_path, 3600.0, lambda: 0.0), 600.0)
    with pytest.raises(EngineUnavailable, match="being loaded"):
        await ask(call_manager)
    await call_manager.close()


# Models that take no calls ---------------------------------------------------------------------------


class OfflineFake(FakeModel):
    """Answers whole clips, and only with a fault."""

    def answer_clip(
        self, samples: Samples, persona: Persona, sampling: Sampling
    ) -> tuple[Samples, tuple[tuple[int, str], ...]]:
        self.going.wait(10)
        raise RuntimeError("a secret of the model")


@pytest.fixture
def offline() -> OfflineFake:
    return OfflineFake()


@pytest.fixture
async def offline_manager(offline: OfflineFake, tmp_path: Path) -> AsyncIterator[CallManager]:
    async with (
        running_engine(offline, 1, 1) as engine,
        running_call_manager(engine, tmp_path) as call_manager,
    ):
        yield call_manager


async def test_an_offline_model_that_fails_is_told_in_words(offline_manager: CallManager):
    with pytest.raises(EngineFailure, match="failed on our side"):
        await ask(offline_manager)


async def test_an_offline_model_that_hangs_is_not_waited_for(
    offline: OfflineFake, offline_manager: CallManager, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(clip, "OFFLINE_ANSWER_WITHIN_SEC", 0.05)
    offline.going.clear()
    with pytest.raises(EngineUnavailable, match="stopped answering"):
        await ask(offline_manager)
    offline.going.set()


async def test_an_offline_model_is_not_waited_for_at_the_end(
    offline: OfflineFake, offline_manager: CallManager
):
    offline.going.clear()
    running = asyncio.create_task(offline_manager.unless_closed(ask(offline_manager)))
    await asyncio.sleep(0)
    await offline_manager.close("The server is shutting down.")
    with pytest.raises(EngineUnavailable, match="shutting down"):
        await running
    offline.going.set()


# The caller's words ----------------------------------------------------------------------------------


async def test_an_answer_has_the_words_of_both_in_the_order_of_time(tmp_path: Path):
    model = HearingModel(None, Heard(" Hello", 2, 1), Heard(" there.", 2, 1))
    async with (
        running_engine(model, max_calls=1, max_waiting=2) as engine,
        running_call_manager(engine, tmp_path / "recordings") as call_manager,
    ):
        answer = await ask(call_manager, frames=30)
    assert [(said.speaker, said.text) for said in answer.utterances] == [
        ("assistant", ("word " * 30).strip()),
        ("caller", "Hello there."),
    ]
    assert answer.utterances[1].start_sec == 0.0


class FoundBesides(OwnWords):
    """``asked``: the lengths of clips, and the longest times for which their words were looked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, float]] = []

    async def find_in_clip(
        self, model: SpeechModel, samples: Samples, role: str, tell: TellWords, within_sec: float
    ) -> None:
        self.asked.append((len(samples), within_sec))
        tell(f" {role}", 0.1, 0.2)


async def test_words_are_looked_for_when_the_slot_is_free_again(call_manager: CallManager):
    call_manager.captions = captions = FoundBesides()
    plain = await ask(call_manager, frames=25)
    assert [said.text for said in plain.utterances if said.speaker == "caller"] == ["Be kind."]
    assert captions.asked == [(25 * 1_920, 11.0)]
    assert np.array_equal(plain.samples, sound(25 * 1_920))
