"""A quiet end with real calls on a fake model, and its limits with a clock of the test's own."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from personaplex_ui.calls.call_length import Limit
from personaplex_ui.calls.capacity import capacity_now
from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.quiet_end import TAKES_NO_CALLS, TIME_IS_UP, QuietEnd
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.snapshot import End, Phase, Transport
from personaplex_ui.engine.engine import Engine, EngineState
from personaplex_ui.engine.speech_model import Persona
from personaplex_ui.errors import EngineUnavailable, NoFreeSlot
from tests.support.clock import Clock
from tests.support.fake_model import FakeModel
from tests.support.running import running_call_manager, running_engine, until

SETTINGS = CallSettings(Persona("NATF2", "Be kind."))
OWNER = "an owner"


@pytest.fixture
def model() -> FakeModel:
    return FakeModel()


@pytest.fixture
async def engine(model: FakeModel) -> AsyncIterator[Engine]:
    async with running_engine(model, max_calls=2, max_waiting=2) as engine:
        yield engine


@pytest.fixture
async def manager(engine: Engine, tmp_path: Path) -> AsyncIterator[CallManager]:
    async with running_call_manager(engine, tmp_path / "recordings") as manager:
        yield manager


async def open_live(manager: CallManager) -> LiveCall:
    call = manager.open(SETTINGS, OWNER)
    await call.live.wait()
    call.hear(np.full(1920, 0.25, dtype=np.float32))
    return call


async def open_waiting(manager: CallManager) -> LiveCall:
    call = manager.open(SETTINGS, OWNER)
    await until(lambda: call.is_queued)
    return call


async def test_live_calls_go_on_and_nobody_else_gets_in(
    manager: CallManager, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = await open_live(manager), await open_live(manager)
    waiting = await open_waiting(manager)
    begun: list[str] = []
    manager.quiet_end.on_begin.append(lambda: begun.append("begun"))
    manager.quiet_end.begin(600.0)
    assert "2 calls and clips may go on for 10 minutes." in caplog.text, "who waits is not counted"
    await waiting.over.wait()
    assert (waiting.end, waiting.reason) == (End.REFUSED, TAKES_NO_CALLS)
    refused: list[Transport] = []
    manager.on_refusal.append(refused.append)
    for open_call in (manager.open, manager.open_clip):
        with pytest.raises(EngineUnavailable) as told:
            open_call(SETTINGS)
        assert str(told.value) == TAKES_NO_CALLS
    assert refused == [Transport.BROWSER, Transport.CLIP]
    for call in (first, second):
        assert call.phase is Phase.LIVE
        assert call.notes == ["The server is being renewed. This call can go on for 10 minutes."]
    assert (manager.state, manager.message) == (EngineState.DRAINING, TAKES_NO_CALLS)
    assert not manager.is_idle
    assert begun == ["begun"]


async def test_who_was_answered_before_gets_a_free_line_and_waits_for_none(manager: CallManager) -> None:
    await open_live(manager)
    opening = manager.open(SETTINGS)
    assert opening.is_opening
    manager.quiet_end.begin(600.0)
    await opening.live.wait()
    opening.hang_up("You hung up.")
    await manager.ended(opening)
    answered = manager.open(SETTINGS, answered=True)
    await answered.live.wait()
    with pytest.raises(EngineUnavailable, match="is being renewed"):
        manager.open(SETTINGS, answered=True)
    answered.hang_up("You hung up.")
    await manager.ended(answered)
    manager.quiet_end.begin(0.0)
    with pytest.raises(EngineUnavailable, match="is being renewed"):
        manager.open(SETTINGS, answered=True)


async def test_an_end_that_is_final_can_only_be_made_shorter() -> None:
    end = QuietEnd({}, Clock(1000.0))
    for within_sec, left_sec in ((60.0, 60.0), (90.0, 90.0)):
        end.begin(within_sec)
        assert end.left_sec == left_sec
    for within_sec, left_sec in ((30.0, 30.0), (600.0, 30.0), (5.0, 5.0)):
        end.begin(within_sec, final=within_sec == 30.0)
        assert end.left_sec == left_sec


async def test_it_can_be_taken_back_unless_it_is_final(manager: CallManager) -> None:
    call = await open_live(manager)
    manager.quiet_end.begin(600.0)
    manager.quiet_end.begin(60.0)
    assert call.notes == ["The server is being renewed. This call can go on for 1 minute."]
    manager.quiet_end.take_back()
    assert (call.notes, manager.state) == ([], EngineState.READY)
    await open_live(manager)
    manager.quiet_end.begin(60.0, final=True)
    manager.quiet_end.take_back()
    assert manager.quiet_end.is_on


async def test_when_time_is_up_calls_end_with_a_sentence_and_are_kept(manager: CallManager) -> None:
    call = await open_live(manager)
    clip = manager.open_clip(SETTINGS)
    await clip.live.wait()
    manager.quiet_end.begin(0.2)
    await manager.ended(call)
    await manager.ended(clip)
    assert [(one.end, one.reason) for one in (call, clip)] == [(End.SHUTDOWN, TIME_IS_UP)] * 2
    [kept] = manager.store.calls_of(OWNER)
    assert (kept.recorded, kept.reason, kept.notes) == (True, TIME_IS_UP, ())
    assert manager.is_idle
    manager.quiet_end.take_back()  # the process has stayed
    await open_live(manager)


async def test_what_only_makes_sense_in_the_call_is_not_kept_of_it(manager: CallManager) -> None:
    call = await open_live(manager)
    manager.quiet_end.begin(600.0)
    call.hang_up("You hung up.")
    await manager.ended(call)
    assert manager.store.calls_of(OWNER)[0].notes == ()


async def test_the_limit_of_a_call_is_on_its_own_clock_and_keeps_still() -> None:
    clock = Clock(1000.0)
    end = QuietEnd({}, clock)
    assert end.limit(7.0) is None
    end.begin(300.4)
    limits: list[Limit | None] = []
    for _ in range(50):
        limits.append(end.limit(clock.now - 900.0))
        clock.now += 0.37
    assert {(limit.sec, limit.reason, limit.end) for limit in limits if limit} == {
        (400.0, TIME_IS_UP, End.SHUTDOWN)
    }
    end.begin(0.0)
    assert end.left_sec == 0.0
    end.take_back()
    assert end.left_sec is None


# Capacity --------------------------------------------------------------------------------------------


async def test_capacity_counts_a_call_from_its_first_message_on(manager: CallManager) -> None:
    free = capacity_now(manager)
    assert (free.status, free.model, free.message) == (EngineState.READY, "fake", "")
    assert (free.lines, free.lines_free, free.waiting, free.max_waiting) == (2, 2, 0, 2)
    assert (free.live_calls, free.accepting, free.draining) == (0, True, False)
    call = manager.open(SETTINGS, OWNER)  # its task has not run yet
    assert call.is_opening
    assert (capacity_now(manager).lines_free, capacity_now(manager).live_calls) == (1, 1)
    connecting = 2
    manager.opening.append(lambda: connecting)
    now = capacity_now(manager)
    assert (now.lines_free, now.waiting, now.live_calls, now.accepting) == (0, 1, 3, True)
    connecting = 3
    assert not capacity_now(manager).accepting
    connecting = 0
    await call.live.wait()
    assert (capacity_now(manager).lines_free, capacity_now(manager).live_calls) == (1, 1)


async def test_capacity_of_a_full_server_is_what_the_next_caller_finds(manager: CallManager) -> None:
    for _ in range(2):
        await open_live(manager)
    await open_waiting(manager)
    assert capacity_now(manager).accepting
    await open_waiting(manager)
    now = capacity_now(manager)
    assert (now.lines_free, now.waiting, now.live_calls, now.accepting) == (0, 2, 2, False)
    late = manager.open(SETTINGS)
    await late.over.wait()
    assert isinstance(late.error, NoFreeSlot)


async def test_capacity_while_no_calls_are_taken(manager: CallManager, model: FakeModel) -> None:
    model.clips_only = "This server answers recordings only."
    only = capacity_now(manager)
    assert (only.accepting, only.lines_free, only.message) == (False, 0, model.clips_only)
    model.clips_only = ""
    await open_live(manager)
    manager.quiet_end.begin(60.0)
    now = capacity_now(manager)
    assert (now.status, now.message) == (EngineState.DRAINING, TAKES_NO_CALLS)
    assert (now.accepting, now.draining, now.lines_free, now.live_calls) == (False, True, 0, 1)
    assert now.drain_seconds_left == pytest.approx(60.0, abs=30.0)


async def test_capacity_without_a_model(tmp_path: Path) -> None:
    engine = Engine(lambda report: FakeModel(), 3, 5)
    async with running_call_manager(engine, tmp_path) as manager:
        now = capacity_now(manager)
        assert (now.status, now.model, now.accepting, now.lines_free) == (
            EngineState.LOADING,
            "",
            False,
            0,
        )
        assert now.message
    await asyncio.sleep(0)
