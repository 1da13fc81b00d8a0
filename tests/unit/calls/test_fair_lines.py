"""Calls of visitors on a fake model: whose line is wanted, what they use of their minutes; time is real."""

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from personaplex_ui.calls.allowance import Allowance, Visitor
from personaplex_ui.calls.allowance_table import SpentTable
from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.snapshot import Phase, Transport
from personaplex_ui.calls.store import CallStore
from personaplex_ui.calls.watchdog import ENDS_SOON, GOES_ON
from personaplex_ui.engine.speech_model import Persona
from personaplex_ui.errors import MinutesUsedUp
from tests.support.fake_model import FakeModel
from tests.support.running import running_engine, until

SETTINGS = CallSettings(Persona("NATF2", "Be kind."), record=False)
MAX_SEC, BUSY_SEC = 600, 0.2
ANN, BOB, CIM = Visitor("Ann"), Visitor("Bob"), Visitor("Cim")


@asynccontextmanager
async def two_lines(folder: Path, minutes: float = 0.0) -> AsyncGenerator[CallManager]:
    async with running_engine(FakeModel(), max_calls=2, max_waiting=2) as engine:
        allowance = Allowance(minutes * 60, time.time, SpentTable(folder))
        store = CallStore(folder, 3600.0, time.time)
        calls = CallManager(engine, store, MAX_SEC, allowance=allowance, busy_call_sec=BUSY_SEC)
        await calls.start()
        yield calls
        await calls.close()


async def live(
    calls: CallManager, visitor: Visitor | None, transport: Transport = Transport.BROWSER
) -> LiveCall:
    call = calls.open(SETTINGS, transport=transport, visitor=visitor)
    await until(call.live.is_set)
    await until(lambda: call.elapsed_sec > BUSY_SEC)
    return call


async def test_only_the_longest_call_makes_room_for_one_who_waits(tmp_path: Path):
    async with two_lines(tmp_path) as calls:
        first = await live(calls, ANN)
        second = await live(calls, BOB)
        waiting = calls.open(SETTINGS, visitor=CIM)
        await until(lambda: ENDS_SOON in first.notes)
        assert first.snapshot().max_sec < MAX_SEC
        assert second.notes == []
        assert second.snapshot().max_sec == MAX_SEC
        waiting.hang_up("Enough.")
        await until(lambda: GOES_ON in first.notes)
        assert first.snapshot().max_sec == MAX_SEC
        assert first.phase is Phase.LIVE


async def test_a_telephone_call_makes_no_room_and_the_next_does(tmp_path: Path):
    async with two_lines(tmp_path) as calls:
        telephone = await live(calls, None, Transport.TWILIO)
        page = await live(calls, ANN)
        calls.open(SETTINGS, visitor=BOB)
        await until(lambda: ENDS_SOON in page.notes)
        assert telephone.notes == []


async def test_a_call_uses_minutes_while_it_is_live_and_they_are_kept(tmp_path: Path):
    async with two_lines(tmp_path, minutes=1) as calls:
        call = await live(calls, ANN)
        assert call.snapshot().max_sec <= 60
        call.hang_up("Enough.")
        await calls.ended(call)
        used = 60 - calls.allowance.left_sec(ANN)
        assert used == pytest.approx(call.elapsed_sec)
        again = Allowance(60, time.time, SpentTable(tmp_path))
        again.load()
        assert 60 - again.left_sec(ANN) == pytest.approx(used)
        assert calls.allowance.left_sec(BOB) == 60


async def test_without_minutes_no_call_begins_and_it_counts_as_refused(tmp_path: Path):
    async with two_lines(tmp_path, minutes=1) as calls:
        refused: list[Transport] = []
        calls.on_refusal.append(refused.append)
        calls.allowance.spend(ANN, 50.0)
        with pytest.raises(MinutesUsedUp):
            calls.open(SETTINGS, visitor=ANN)
        with pytest.raises(MinutesUsedUp):
            calls.open_clip(SETTINGS, visitor=ANN)
        with pytest.raises(MinutesUsedUp, match="longer than what you have left"):
            calls.open_clip(SETTINGS, visitor=BOB, sound_sec=61.0)
        assert refused == [Transport.BROWSER, Transport.CLIP, Transport.CLIP]
        calls.open(SETTINGS, visitor=None).hang_up("Enough.")
