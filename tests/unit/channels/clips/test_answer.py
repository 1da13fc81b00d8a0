"""Clips on a fake model: sound of equal length comes back, and whatever happens, the line is free again."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from personaplex_ui.audio.frames import Samples
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.snapshot import Phase, Snapshot
from personaplex_ui.calls.store import CallStore
from personaplex_ui.channels.clips import answer as clip
from personaplex_ui.channels.clips.answer import ClipAnswer, converse
from personaplex_ui.engine.engine import Engine
from personaplex_ui.engine.speech_model import Persona, Sampling
from personaplex_ui.errors import EngineFailure, EngineUnavailable, PersonaplexError
from tests.support.fake_model import FakeModel
from tests.support.running import running_call_manager, running_engine, until

SETTINGS = CallSettings(Persona("NATF2", "Be kind."))


@pytest.fixture
async def engine(model: FakeModel) -> AsyncIterator[Engine]:
    async with running_engine(model, max_calls=1, max_waiting=2) as engine:
        yield engine


@pytest.fixture
async def call_manager(engine: Engine, tmp_path: Path) -> AsyncIterator[CallManager]:
    async with running_call_manager(engine, tmp_path / "recordings") as call_manager:
        yield call_manager


def sound(samples: int) -> Samples:
    return np.linspace(-0.5, 0.5, samples, dtype=np.float32)


class Progress:
    """Keeps what a clip reports."""

    def __init__(self) -> None:
        self.snapshots: list[Snapshot] = []
        self.parts: list[float] = []

    def report(self, snapshot: Snapshot, part: float) -> None:
        self.snapshots.append(snapshot)
        self.parts.append(part)

    @property
    def phase(self) -> Phase | None:
        return self.snapshots[-1].phase if self.snapshots else None


async def all_is_free(call_manager: CallManager) -> None:
    lines = call_manager.engine.slots
    await until(lambda: not call_manager.calls)
    assert (lines.free, lines.waiting) == (lines.capacity, 0)


@pytest.mark.parametrize("length", [0, 1, 1_919, 1_920, 1_921, 3_839, 3_840, 50_001])
async def test_the_answer_is_as_long_as_the_clip_and_nothing_of_it_is_lost(
    call_manager: CallManager, length: int
):
    samples = sound(length)
    answer = await converse(samples, SETTINGS, call_manager)
    assert answer.samples.dtype == np.float32
    assert np.array_equal(answer.samples, samples)
    await all_is_free(call_manager)


async def test_a_long_clip_is_heard_once_and_in_order(call_manager: CallManager, model: FakeModel):
    samples = sound(200 * 1_920)
    answer = await converse(samples, SETTINGS, call_manager)
    assert np.array_equal(answer.samples, samples)
    assert model.steps == [(0,)] * 200


async def test_the_transcript_is_on_the_clips_clock(call_manager: CallManager):
    answer = await converse(sound(25 * 1_920), SETTINGS, call_manager)
    [line] = answer.utterances
    assert line.text == " ".join(["word"] * 25)
    assert 0.0 <= line.start_sec <= 0.25
    assert 2.0 - 0.25 <= line.end_sec <= 2.0 + 0.08 + 1e-6


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


async def test_progress_is_told_from_the_queue_to_the_end(call_manager: CallManager):
    progress = Progress()
    await converse(sound(100 * 1_920), SETTINGS, call_manager, progress.report)
    phases = [snapshot.phase for snapshot in progress.snapshots]
    assert phases[0] is Phase.WAITING
    assert phases[-1] is Phase.LIVE
    assert progress.parts[0] == 0.0
    assert all(before <= after for before, after in pairwise(progress.parts))
    assert len([part for part in progress.parts if 0.0 < part <= 1.0]) >= 8
    assert progress.parts[-1] > 0.9


async def test_a_clip_waits_for_a_line_like_everyone(call_manager: CallManager):
    first = call_manager.open(SETTINGS)
    await first.live.wait()
    progress = Progress()
    waiting = asyncio.create_task(converse(sound(1_920), SETTINGS, call_manager, progress.report))
    await until(lambda: bool(progress.snapshots) and progress.snapshots[-1].place == 1)
    assert progress.phase is Phase.WAITING
    assert not waiting.done()
    first.hang_up("You hung up.")
    answer = await waiting
    assert len(answer.samples) == 1_920
    await all_is_free(call_manager)


async def test_cancelled_while_it_waits_it_leaves_the_queue(call_manager: CallManager):
    first = call_manager.open(SETTINGS)
    await first.live.wait()
    waiting = asyncio.create_task(converse(sound(1_920), SETTINGS, call_manager))
    await until(lambda: call_manager.engine.slots.waiting == 1)
    await cancelled(waiting)
    await until(lambda: call_manager.engine.slots.waiting == 0)
    assert list(call_manager.calls.values()) == [first]
    first.hang_up("You hung up.")
    await all_is_free(call_manager)


async def test_cancelled_while_it_is_heard_it_frees_its_line(call_manager: CallManager, model: FakeModel):
    model.going.clear()
    running = asyncio.create_task(converse(sound(50 * 1_920), SETTINGS, call_manager))
    await until(lambda: 0 in model.joined)
    await asyncio.sleep(0.25)
    await cancelled(running)
    model.going.set()
    await all_is_free(call_manager)
    assert model.joined == {}


async def cancelled(task: "asyncio.Task[ClipAnswer]") -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_fault_of_the_engine_is_told_in_a_sentence(call_manager: CallManager, model: FakeModel):
    model.fail_steps = 1
    with pytest.raises(EngineUnavailable, match="failed on our side") as failed:
        await converse(sound(50 * 1_920), SETTINGS, call_manager)
    assert "a fault of the model" not in str(failed.value)
    await all_is_free(call_manager)
    assert len((await converse(sound(1_920), SETTINGS, call_manager)).samples) == 1_920


async def test_an_engine_that_is_stuck_does_not_keep_the_clip(
    call_manager: CallManager, model: FakeModel, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(clip, "ANSWER_WITHIN_SEC", 0.05)
    model.going.clear()
    with pytest.raises(EngineUnavailable, match="stopped answering"):
        await converse(sound(50 * 1_920), SETTINGS, call_manager)
    model.going.set()
    await all_is_free(call_manager)


async def test_a_server_that_closes_tells_the_clip(call_manager: CallManager, model: FakeModel):
    model.going.clear()
    running = asyncio.create_task(converse(sound(50 * 1_920), SETTINGS, call_manager))
    await until(lambda: 0 in model.joined)
    await asyncio.sleep(0.25)
    for call in call_manager.calls.values():
        call.hang_up("The server is shutting down.")
    model.going.set()
    with pytest.raises(EngineUnavailable, match="shutting down"):
        await running


async def test_with_the_queue_full_the_clip_is_refused(call_manager: CallManager):
    calls = [call_manager.open(SETTINGS) for _ in range(3)]
    await until(lambda: call_manager.engine.slots.waiting == 2)
    with pytest.raises(PersonaplexError, match="try again"):
        await converse(sound(1_920), SETTINGS, call_manager)
    for call in calls:
        call.hang_up("You hung up.")
    await all_is_free(call_manager)


async def test_an_unknown_voice_is_refused(call_manager: CallManager):
    with pytest.raises(PersonaplexError, match="no voice"):
        await converse(sound(1_920), CallSettings(Persona("nobody", "")), call_manager)
    await all_is_free(call_manager)


async def test_while_the_model_loads_the_clip_is_refused(tmp_path: Path):
    engine = Engine(lambda report: FakeModel(), 1)
    call_manager = CallManager(engine, CallStore(tmp_path, 3600.0, lambda: 0.0), 600.0)
    with pytest.raises(EngineUnavailable, match="being loaded"):
        await converse(sound(1_920), SETTINGS, call_manager)
    await call_manager.close()


async def test_nothing_of_a_clip_is_kept(call_manager: CallManager, tmp_path: Path):
    await converse(sound(20 * 1_920), SETTINGS, call_manager)
    await all_is_free(call_manager)
    assert call_manager.store.calls_of("") == ()
    assert not (tmp_path / "recordings").exists()


class LentFake(FakeModel):
    """Answers whole clips, and only with ``trouble``."""

    trouble: Exception = RuntimeError("a secret of the model")

    def answer_clip(
        self, samples: Samples, persona: Persona, sampling: Sampling
    ) -> tuple[Samples, tuple[tuple[int, str], ...]]:
        self.going.wait(10)
        raise self.trouble


@pytest.fixture
async def lent(tmp_path: Path) -> AsyncIterator[tuple[LentFake, CallManager]]:
    model = LentFake()
    async with running_engine(model, 1, 1) as engine, running_call_manager(engine, tmp_path) as call_manager:
        yield model, call_manager


async def test_a_lent_model_that_fails_is_told_in_words(lent: tuple[LentFake, CallManager]):
    _, call_manager = lent
    with pytest.raises(EngineFailure, match="failed on our side"):
        await converse(sound(1_920), SETTINGS, call_manager)


async def test_a_lent_model_that_hangs_is_not_waited_for(
    lent: tuple[LentFake, CallManager], monkeypatch: pytest.MonkeyPatch
):
    model, call_manager = lent
    monkeypatch.setattr(clip, "OFFLINE_ANSWER_WITHIN_SEC", 0.05)
    model.going.clear()
    with pytest.raises(EngineUnavailable, match="stopped answering"):
        await converse(sound(1_920), SETTINGS, call_manager)
    model.going.set()


async def test_a_lent_model_is_not_waited_for_at_the_end(lent: tuple[LentFake, CallManager]):
    model, call_manager = lent
    model.going.clear()
    running = asyncio.create_task(call_manager.unless_closed(converse(sound(1_920), SETTINGS, call_manager)))
    await asyncio.sleep(0)
    await call_manager.close("The server is shutting down.")
    with pytest.raises(EngineUnavailable, match="shutting down"):
        await running
    model.going.set()
