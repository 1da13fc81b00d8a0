"""Calls from their opening to the store, on a fake model that says back what it hears; time is real."""

import asyncio
import errno
import functools
import logging
import threading
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from personaplex_ui.audio.recording.recorder import RecordingWriter, create_file
from personaplex_ui.calls import manager as call_manager_module
from personaplex_ui.calls.limits import AddressLimits
from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.snapshot import End, EndedCall, Phase, Transport
from personaplex_ui.engine.engine import Engine
from personaplex_ui.engine.speech_model import Persona
from personaplex_ui.errors import CallOver, TooManyCalls
from personaplex_ui.logs.call_context import current_call
from tests.support.fake_model import FakeModel
from tests.support.running import running_call_manager, running_engine, until

PERSONA = Persona("NATF2", "Be kind.")
SETTINGS = CallSettings(PERSONA)
OWNER = "an owner"
CHUNK_SEC = 0.02


@pytest.fixture
def model() -> FakeModel:
    return FakeModel()


@pytest.fixture
async def engine(model: FakeModel) -> AsyncIterator[Engine]:
    async with running_engine(model, max_calls=2, max_waiting=2) as engine:
        yield engine


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "recordings"


@pytest.fixture
async def call_manager(engine: Engine, folder: Path) -> AsyncIterator[CallManager]:
    async with running_call_manager(engine, folder) as call_manager:
        yield call_manager


async def open_live(
    call_manager: CallManager, owner: str = OWNER, settings: CallSettings = SETTINGS
) -> LiveCall:
    call = call_manager.open(settings, owner)
    await call.live.wait()
    return call


async def talk(call: LiveCall, sec: float, amplitude: float = 0.25) -> int:
    """Speak and listen in real time; returns how many answers were heard."""
    answers = 0

    async def listen() -> None:
        nonlocal answers
        with suppress(CallOver):
            while True:
                await call.next_answer()
                answers += 1

    listening = asyncio.create_task(listen())
    for _ in range(round(sec / CHUNK_SEC)):
        call.hear(np.full(480, amplitude, dtype=np.float32))
        await asyncio.sleep(CHUNK_SEC)
    await until(lambda: answers > 0)
    listening.cancel()
    return answers


async def hang_up(call_manager: CallManager, call: LiveCall) -> None:
    call.hang_up("You hung up.")
    await call_manager.ended(call)


async def kept_of(call_manager: CallManager, call: LiveCall) -> EndedCall:
    await hang_up(call_manager, call)
    kept = call_manager.store.get(OWNER, call.call_id)
    assert kept is not None
    return kept


async def held(call_manager: CallManager, settings: CallSettings = SETTINGS, sec: float = 0.5) -> EndedCall:
    """A whole call of ``sec`` seconds of talk, as it was kept."""
    call = await open_live(call_manager, settings=settings)
    await talk(call, sec)
    return await kept_of(call_manager, call)


def sound_of(call_manager: CallManager, kept: EndedCall) -> npt.NDArray[np.float32]:
    """The recording as ``[n, 2]``."""
    path = call_manager.store.recording_of(OWNER, kept.call_id)
    assert path is not None
    sound, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    assert rate_hz == 24_000
    return np.asarray(sound, dtype=np.float32)


def files_in(folder: Path, pattern: str = "*") -> list[Path]:
    return list(folder.glob(pattern))


# Kept calls ------------------------------------------------------------------------------------------


async def test_an_ended_call_is_kept_for_its_owner_with_transcript_levels_and_recording(
    engine: Engine, call_manager: CallManager, folder: Path
):
    before = time.time()
    kept = await held(call_manager)
    assert call_manager.store.calls_of(OWNER) == (kept,)
    assert call_manager.store.calls_of("a stranger") == ()
    assert (kept.voice, kept.reason, kept.notes, kept.recorded) == ("NATF2", "You hung up.", (), True)
    assert before <= kept.started_at <= time.time()
    assert kept.duration_sec >= 0.5
    sound = sound_of(call_manager, kept)
    assert len(sound) == pytest.approx(kept.duration_sec * 24_000, abs=1)
    assert np.max(sound, axis=0) == pytest.approx([0.25, 0.25], abs=0.001)
    words = " ".join(each.text for each in kept.utterances).split()
    assert len(words) >= 4
    assert set(words) == {"word"}
    assert kept.utterances[-1].end_sec <= kept.duration_sec + 0.08
    frames = round(kept.duration_sec / 0.08)
    assert (len(kept.caller_levels_dbfs), len(kept.assistant_levels_dbfs)) == (frames, frames)
    assert max(kept.caller_levels_dbfs) == max(kept.assistant_levels_dbfs) == -13.0
    assert call_manager.calls == {}
    for _ in range(2):  # closing twice changes nothing
        await call_manager.close()
    async with running_call_manager(engine, folder) as restarted:
        assert restarted.store.calls_of(OWNER) == (kept,)
        assert len(sound_of(restarted, kept)) == len(sound)


async def test_what_was_not_to_be_recorded_is_not(call_manager: CallManager, folder: Path):
    kept = await held(call_manager, CallSettings(PERSONA, record=False))
    assert not kept.recorded
    assert kept.utterances
    assert call_manager.store.recording_of(OWNER, kept.call_id) is None
    assert files_in(folder, "*.wav") == []


async def test_two_calls_at_once_do_not_mix(call_manager: CallManager):
    calls = [await open_live(call_manager) for _ in range(2)]
    await asyncio.gather(talk(calls[0], 0.6, 0.25), talk(calls[1], 0.6, 0.5))
    for call, amplitude in zip(calls, (0.25, 0.5), strict=True):
        sound = sound_of(call_manager, await kept_of(call_manager, call))
        assert np.max(sound, axis=0) == pytest.approx([amplitude] * 2, abs=0.001)


async def test_a_call_of_nobody_is_not_kept(call_manager: CallManager, folder: Path):
    call = await open_live(call_manager, owner="")
    await talk(call, 0.4)
    await hang_up(call_manager, call)
    assert call_manager.store.calls_of("") == ()
    assert call_manager.store.get("", call.call_id) is None
    assert files_in(folder) == []


async def test_a_call_that_never_was_live_is_not_kept(call_manager: CallManager, model: FakeModel):
    refused = call_manager.open(CallSettings(Persona("nobody", "")), OWNER)
    await call_manager.ended(refused)
    assert "no voice" in refused.reason
    model.chunks = 10**9
    left = call_manager.open(SETTINGS, OWNER)
    await until(lambda: left.phase is Phase.PREPARING)
    await hang_up(call_manager, left)
    await call_manager.ended(left)  # who waits for an ended call returns at once
    assert call_manager.store.calls_of(OWNER) == ()
    assert call_manager.calls == {}


async def test_what_the_caller_heard_later_is_recorded_where_it_was_heard(call_manager: CallManager):
    call = await open_live(call_manager)
    for amplitude in (0.25, 0.5):  # nobody ever heard the first answer
        call.hear(np.full(1920, amplitude, dtype=np.float32))
        answer = await call.next_answer(heard=False)
        assert answer is not None
    await asyncio.sleep(0.4)
    call.heard(answer)
    heard_at = call.elapsed_sec
    right = sound_of(call_manager, await kept_of(call_manager, call))[:, 1]
    loud = np.flatnonzero(np.abs(right) > 0.2)
    assert len(loud) == pytest.approx(1920, abs=100)
    assert loud[-1] / 24_000 == pytest.approx(heard_at, abs=0.02)
    assert right[loud].mean() == pytest.approx(0.5, abs=0.01)


# Opening and closing ---------------------------------------------------------------------------------


async def test_closing_ends_all_calls_with_words_and_closes_their_recordings(
    engine: Engine, call_manager: CallManager, folder: Path
):
    calls = [await open_live(call_manager) for _ in range(2)]
    calls.append(call_manager.open(SETTINGS, OWNER))
    await asyncio.gather(*[talk(call, 0.6) for call in calls[:2]])
    assert len(files_in(folder, "*.part.wav")) == 2
    assert calls[2].phase is Phase.WAITING
    await call_manager.close("The server is shutting down.")
    assert [call.reason for call in calls] == ["The server is shutting down."] * 3
    assert all(call.over.is_set() for call in calls)
    assert call_manager.calls == {}
    assert (engine.slots.free, engine.slots.waiting) == (2, 0)
    assert files_in(folder, "*.part.wav") == []
    kept = call_manager.store.calls_of(OWNER)
    assert {call.call_id for call in kept} == {call.call_id for call in calls[:2]}
    assert all(len(sound_of(call_manager, call)) >= 0.5 * 24_000 for call in kept)


async def test_no_task_is_left_after_closing(engine: Engine, folder: Path):
    before = asyncio.all_tasks()
    async with running_call_manager(engine, folder) as call_manager:
        await open_live(call_manager)
    await until(lambda: asyncio.all_tasks() == before)


async def test_an_address_has_its_limit_and_may_call_again_after_a_call(engine: Engine, folder: Path):
    ended: list[tuple[Transport, End | None]] = []
    async with running_call_manager(engine, folder, AddressLimits(1, 0, time.monotonic)) as call_manager:
        call_manager.on_end.append(lambda call: ended.append((call.transport, call.end)))
        first = call_manager.open(SETTINGS, transport=Transport.MOSHI, address="192.0.2.1")
        with pytest.raises(TooManyCalls):
            call_manager.open(SETTINGS, address="192.0.2.1")
        call_manager.open(SETTINGS, address="192.0.2.2")
        await hang_up(call_manager, first)
        assert ended == [(Transport.MOSHI, End.HUNG_UP)]
        call_manager.open(SETTINGS, address="192.0.2.1")
    assert ended[1:] == [(Transport.BROWSER, End.SHUTDOWN)] * 2


async def test_every_record_of_the_log_within_a_call_knows_its_call(
    call_manager: CallManager, caplog: pytest.LogCaptureFixture
):
    seen: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(current_call.get())

    listener, log = Listener(), logging.getLogger("personaplex_ui.calls.manager")
    log.addHandler(listener)
    caplog.set_level(logging.INFO)
    try:
        call = await open_live(call_manager, owner="")
        await hang_up(call_manager, call)
    finally:
        log.removeHandler(listener)
    assert seen == [call.call_id[:6]] * 2
    assert current_call.get() == ""


# The disk --------------------------------------------------------------------------------------------


class FullDisk(FileIO):
    """A file for which the disk has room for ``room_bytes`` and no more."""

    room_bytes = 0

    def write(self, data: Any, /) -> int:
        if self.tell() + len(data) > self.room_bytes:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


def opens_full_disk(path: Path, room_bytes: int) -> FileIO:
    create_file(path).close()
    file = FullDisk(path, "w")
    file.room_bytes = room_bytes
    return file


@pytest.mark.parametrize(("room_sec", "recorded"), [(0.5, True), (0.0, False)])
async def test_a_full_disk_ends_the_recording_with_a_note_and_not_the_call(
    engine: Engine, folder: Path, monkeypatch: pytest.MonkeyPatch, room_sec: float, recorded: bool
):
    open_file = functools.partial(opens_full_disk, room_bytes=44 + int(room_sec * 24_000) * 4)
    monkeypatch.setattr(call_manager_module, "RecordingWriter", lambda: RecordingWriter(open_file))
    async with running_call_manager(engine, folder) as call_manager:
        call = await open_live(call_manager)
        await talk(call, 1.4)
        await until(lambda: bool(call.snapshot().notes))
        [note] = call.snapshot().notes
        assert "the disk is full" in note
        assert "The call goes on" in note
        assert call.phase is Phase.LIVE
        assert await talk(call, 0.4) >= 2
        kept = await kept_of(call_manager, call)
        assert (kept.notes, kept.recorded) == ((note,), recorded)
        assert kept.duration_sec >= 1.8
        if recorded:
            assert 0.2 <= len(sound_of(call_manager, kept)) / 24_000 <= room_sec


async def test_a_folder_that_cannot_be_made_breaks_no_call(engine: Engine, tmp_path: Path):
    (tmp_path / "file").write_text("in the way of the folder")
    async with running_call_manager(engine, tmp_path / "file" / "recordings") as call_manager:
        call = await open_live(call_manager)
        assert await talk(call, 0.6) >= 3
        await until(lambda: bool(call.snapshot().notes))
        kept = await kept_of(call_manager, call)
        assert not kept.recorded
        assert "recording stopped" in kept.notes[0]
        assert call_manager.store.calls_of(OWNER) == (kept,)


async def test_a_disk_that_hangs_keeps_nobody_waiting_and_may_finish_later(
    engine: Engine, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    going = threading.Event()

    def open_file(path: Path) -> FileIO:
        going.wait(30.0)
        return create_file(path)

    monkeypatch.setattr(call_manager_module, "RecordingWriter", lambda: RecordingWriter(open_file))
    async with running_call_manager(engine, folder) as call_manager:
        call = await open_live(call_manager)
        assert await talk(call, 0.6) >= 3
        with monkeypatch.context() as hurried:
            hurried.setattr(call_manager_module, "RECORDING_CLOSES_WITHIN_SEC", 0.05)
            kept = await kept_of(call_manager, call)
        assert call_manager.calls == {}
        assert engine.slots.free == 2
        assert call_manager.store.recording_of(OWNER, kept.call_id) is None
        going.set()
    assert len(sound_of(call_manager, kept)) == pytest.approx(kept.duration_sec * 24_000, abs=1)
