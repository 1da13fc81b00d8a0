"""The reports of ended calls: measured once, off the event loop, kept with the recording, for the owner."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ
from personaplex_ui.calls import call_reports
from personaplex_ui.calls.call_reports import CallReports
from personaplex_ui.calls.record import record_of
from personaplex_ui.calls.snapshot import EndedCall
from personaplex_ui.calls.store import CallStore
from personaplex_ui.calls.transcript import Utterance
from personaplex_ui.duplex.measure import Stereo
from personaplex_ui.duplex.report import FORMAT
from personaplex_ui.errors import EngineUnavailable, InvalidInput, NoFreeSlot
from tests.support.duplex_talks import Talk, sound_of

OWNER, STRANGER = "o" * 43, "s" * 43
KEEP_SEC = 3_600.0


def talk() -> Talk:
    talk = Talk()
    talk.ask(2.0, 0.5)
    talk.answer(0.6, 3.0)
    talk.interrupt(1.5, 0.4)
    return talk


@dataclass
class Rig:
    """``opened``: the recordings that were measured, or begun to be."""

    store: CallStore
    reports: CallReports
    opened: list[Path]

    def add(self, sound: Stereo | bytes, said: tuple[Utterance, ...] = ()) -> EndedCall:
        call_id = CallStore.new_call_id()
        call = EndedCall(call_id, time.time(), 10.0, "NATF2", "You hung up.", (), said, (), ())
        path = self.store.recording_path(call_id)
        path.parent.mkdir(exist_ok=True)
        if isinstance(sound, bytes):
            path.write_bytes(sound)
        else:
            soundfile.write(path, sound, SAMPLE_RATE_HZ)
        self.store.add(OWNER, call)
        return call


@pytest.fixture
async def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    store = CallStore(tmp_path / "calls", KEEP_SEC, time.time)
    rig = Rig(store, CallReports(store), [])
    read = call_reports.stereo_blocks

    def watched(path: Path) -> Iterator[Stereo]:
        rig.opened.append(path)
        assert threading.current_thread() is not threading.main_thread()
        return read(path)

    monkeypatch.setattr(call_reports, "stereo_blocks", watched)
    yield rig
    await rig.reports.close()


async def test_many_ask_and_it_is_measured_once_and_kept(rig: Rig) -> None:
    call = rig.add(sound_of(talk()))
    asked = await asyncio.gather(*(rig.reports.of_call(OWNER, call.call_id) for _ in range(5)))
    told = asked[0]
    assert told is not None
    assert all(each == told for each in asked)
    assert told["response_gaps"]["all_sec"] == [pytest.approx(0.6, abs=0.04)]
    assert told["stop_latency"]["all_sec"] == [pytest.approx(0.4, abs=0.04)]
    assert len(rig.opened) == 1
    assert json.loads(rig.store.report_path(call.call_id).read_text()) == told
    assert rig.store.report_path(call.call_id).stat().st_mode & 0o077 == 0
    assert await CallReports(rig.store).of_call(OWNER, call.call_id) == told
    assert len(rig.opened) == 1


async def test_the_page_says_what_the_report_says(rig: Rig) -> None:
    call = rig.add(sound_of(talk()))
    report = await rig.reports.of_call(OWNER, call.call_id)
    assert report is not None
    told = record_of(call, True, 0.0, report)
    assert told["report"] == report
    assert told["figures"] == {
        "answer_sec": round(report["response_gaps"]["median_sec"], 2),
        "caller_share": report["talk_share"]["caller"],
        "interruptions": 1,
    }
    assert told["turns"] == report["turns"] | {"overlaps": report["overlaps"]["at"]}


async def test_the_words_tell_an_end_from_a_stop(rig: Rig) -> None:
    call = rig.add(sound_of(talk()), (Utterance(3.1, 6.4, "We open at eight."),))
    report = await rig.reports.of_call(OWNER, call.call_id)
    assert report is not None
    assert report["stop_latency"]["count"] == 0


async def test_it_is_for_the_owner_and_needs_a_recording(rig: Rig) -> None:
    call = rig.add(sound_of(talk()))
    for owner, call_id in ((STRANGER, call.call_id), ("", call.call_id), (OWNER, "u" * 22), (OWNER, "..")):
        assert await rig.reports.of_call(owner, call_id) is None
    rig.store.recording_path(call.call_id).unlink()
    assert await rig.reports.of_call(OWNER, call.call_id) is None
    assert rig.opened == []


async def test_a_recording_that_cannot_be_read(rig: Rig) -> None:
    call = rig.add(b"RIFF, or not")
    for _ in range(2):
        with pytest.raises(InvalidInput, match="cannot be read as audio"):
            await rig.reports.of_call(OWNER, call.call_id)


async def test_one_of_another_version_or_damaged_is_measured_again(rig: Rig) -> None:
    call = rig.add(sound_of(talk()))
    path = rig.store.report_path(call.call_id)
    for content in ('{"format": "personaplex_ui duplex report 0"}', "[]", "{", "\xff", ""):
        path.write_bytes(content.encode("latin-1"))
        told = await rig.reports.of_call(OWNER, call.call_id)
        assert told is not None
        assert told["format"] == FORMAT
    assert len(rig.opened) == 5


async def test_a_disk_that_refuses_costs_only_time(rig: Rig) -> None:
    call = rig.add(sound_of(talk()))
    rig.store.report_path(call.call_id).with_suffix(".json.part").mkdir()
    for number in (1, 2):
        assert await rig.reports.of_call(OWNER, call.call_id) is not None
        assert len(rig.opened) == number


@dataclass
class Held:
    """Measuring waits in its thread until it may go on."""

    began: threading.Event
    go_on: threading.Event


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    held = Held(threading.Event(), threading.Event())
    sound = sound_of(talk())

    def blocks(_: Path) -> Iterator[Stereo]:
        held.began.set()
        while not held.go_on.wait(0.01):
            yield np.zeros((0, 2), dtype=np.float32)
        yield sound

    monkeypatch.setattr(call_reports, "stereo_blocks", blocks)
    yield held
    held.go_on.set()


async def test_who_waits_too_long_is_told_and_gets_it_later(rig: Rig, held: Held) -> None:
    call = rig.add(sound_of(talk()))
    with pytest.raises(EngineUnavailable, match="still being made"):
        await rig.reports.of_call(OWNER, call.call_id, within_sec=0)
    held.go_on.set()
    assert await rig.reports.of_call(OWNER, call.call_id) is not None


async def test_not_too_many_wait(rig: Rig, held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_reports, "MOST_AT_ONCE", 2)
    calls = [rig.add(sound_of(talk())) for _ in range(3)]
    for call in calls[:2]:
        with pytest.raises(EngineUnavailable):
            await rig.reports.of_call(OWNER, call.call_id, within_sec=0)
    with pytest.raises(NoFreeSlot, match="Too many reports"):
        await rig.reports.of_call(OWNER, calls[2].call_id)
    held.go_on.set()
    for call in calls[:2]:
        assert await rig.reports.of_call(OWNER, call.call_id) is not None
    assert await rig.reports.of_call(OWNER, calls[2].call_id) is not None


async def test_a_call_that_is_deleted_meanwhile_leaves_nothing(rig: Rig, held: Held) -> None:
    call = rig.add(sound_of(talk()))
    asking = asyncio.create_task(rig.reports.of_call(OWNER, call.call_id))
    await asyncio.to_thread(held.began.wait)
    assert rig.store.delete(OWNER, call.call_id)
    held.go_on.set()
    assert await asking is None
    assert list(rig.store.report_path(call.call_id).parent.glob("call-*")) == []


async def test_the_end_of_the_server_ends_it(rig: Rig, held: Held) -> None:
    call = rig.add(sound_of(talk()))
    asking = asyncio.create_task(rig.reports.of_call(OWNER, call.call_id))
    await asyncio.to_thread(held.began.wait)
    await rig.reports.close()
    with pytest.raises(EngineUnavailable):
        await asking
    with pytest.raises(EngineUnavailable):
        await rig.reports.of_call(OWNER, call.call_id)
    assert not rig.store.report_path(call.call_id).exists()


async def test_it_goes_with_its_call(rig: Rig) -> None:
    deleted, expired = rig.add(sound_of(talk())), rig.add(sound_of(talk()))
    for call in (deleted, expired):
        assert await rig.reports.of_call(OWNER, call.call_id) is not None
        assert rig.store.report_path(call.call_id).exists()
    assert rig.store.delete(OWNER, deleted.call_id)
    rig.store.expire(expired.ended_at + KEEP_SEC + 1)
    assert [rig.store.report_path(call.call_id).exists() for call in (deleted, expired)] == [False, False]
