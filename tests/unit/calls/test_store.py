import contextlib
import hashlib
import json
import os
import re
import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import replace
from io import FileIO
from pathlib import Path

import numpy as np
import pytest

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ
from personaplex_ui.audio.recording.file import create_file, part_path
from personaplex_ui.audio.recording.recorder import RecordingWriter, StereoRecording
from personaplex_ui.calls import store as archive_module
from personaplex_ui.calls.snapshot import CallStats, EndedCall
from personaplex_ui.calls.store import CALLS_IN_ALL, CALLS_PER_OWNER, CallStore
from personaplex_ui.calls.store_table import FILE, CallTable, KeptCall, to_json
from personaplex_ui.calls.transcript import Utterance
from personaplex_ui.database import Database
from personaplex_ui.errors import InvalidInput
from tests.support.clock import Clock

KEEP_SEC = 3_600.0
NOW = 1_700_000_000.0
ANN, BOB = "key of Ann", "key of Bob"


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "recordings"


@pytest.fixture
def archive(directory: Path, clock: Clock) -> CallStore:
    return CallStore(directory, KEEP_SEC, clock)


@pytest.fixture
def opened() -> list[FileIO]:
    """The files of all recordings."""
    return []


@pytest.fixture
def writer(opened: list[FileIO]) -> Iterator[RecordingWriter]:
    def open_file(path: Path) -> FileIO:
        opened.append(create_file(path))
        return opened[-1]

    writer = RecordingWriter(open_file)
    yield writer
    writer.close()


def crash(opened: list[FileIO]) -> None:
    """The process that writes them is gone, and its locks with it."""
    for file in opened:
        with open(os.devnull, "r+b") as nothing:
            os.dup2(nothing.fileno(), file.fileno())


def ended(call_id: str, started_at: float = NOW, recorded: bool = False) -> EndedCall:
    return EndedCall(
        call_id=call_id,
        started_at=started_at,
        duration_sec=2.0,
        voice="NATF2",
        reason="You hung up.",
        notes=("The recording stopped at 0:01.",),
        utterances=(Utterance(0.5, 1.25, "Grüße — 日本"),),
        caller_levels_dbfs=(-100.0, -20.0, 0.0),
        assistant_levels_dbfs=(-31.0, -100.0, -47.0),
        recorded=recorded,
        stats=CallStats(dropped_heard=1, dropped_said=2, lag_frames=3),
    )


def record(path: Path, writer: RecordingWriter, finish: bool = True) -> None:
    """Two seconds of sound at ``path``, or still in progress."""
    recording = StereoRecording(path, writer)
    sound = np.full(SAMPLE_RATE_HZ * 2, 0.5, dtype=np.float32)
    recording.place_caller(sound, len(sound))
    recording.place_assistant(sound, len(sound))
    writer.submit(lambda: None).result()
    if finish:
        assert recording.finish(len(sound)).result() == path


def recorded_call(
    archive: CallStore, writer: RecordingWriter, owner: str = ANN, at: float = NOW
) -> EndedCall:
    """A whole recorded call as the call manager does it."""
    call = ended(archive.new_call_id(), at, recorded=True)
    archive.begin(owner, call.call_id, at, call.voice)
    record(archive.recording_path(call.call_id), writer)
    archive.add(owner, call)
    return call


def restarted(directory: Path, clock: Clock) -> CallStore:
    archive = CallStore(directory, KEEP_SEC, clock)
    archive.load()
    return archive


def names(directory: Path) -> list[str]:
    """The files there; the table of calls is not one of them."""
    return sorted(path.name for path in directory.iterdir() if path.name != FILE)


def rows(directory: Path) -> list[str]:
    """The ids of the calls that the table holds."""
    with contextlib.closing(sqlite3.connect(directory / FILE)) as connection:
        return [row[0] for row in connection.execute("SELECT call_id FROM calls")]


# Whose call it is --------------------------------------------------------------------------------------


def test_ids_cannot_be_guessed_and_make_a_path(archive: CallStore, directory: Path) -> None:
    ids = {archive.new_call_id() for _ in range(1_000)}
    assert len(ids) == 1_000
    for call_id in ids:
        assert re.fullmatch(r"[A-Za-z0-9_-]{22}", call_id)
        assert archive.recording_path(call_id) == directory / f"call-{call_id}.wav"


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "a" * 21,
        "a" * 23,
        "../" + "a" * 19,
        "a" * 22 + "\n",
        "a" * 21 + "/",
        "a" * 21 + "é",
        "a" * 21 + "\0",
    ],
)
def test_what_is_no_id_comes_near_no_path(archive: CallStore, bad: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        archive.recording_path(bad)
    assert refused.value.field == "call_id"
    assert archive.get(ANN, bad) is None
    assert archive.recording_of(ANN, bad) is None


def test_only_the_owner_gets_a_call(archive: CallStore, writer: RecordingWriter) -> None:
    call = recorded_call(archive, writer)
    path = archive.recording_path(call.call_id)
    assert archive.get(ANN, call.call_id) == call
    assert archive.recording_of(ANN, call.call_id) == path
    assert archive.calls_of(ANN) == (call,)
    for stranger in (BOB, "", "é", hashlib.sha256(ANN.encode()).hexdigest()):
        assert archive.get(stranger, call.call_id) is None
        assert archive.recording_of(stranger, call.call_id) is None
        assert archive.calls_of(stranger) == ()
    assert archive.get(ANN, archive.new_call_id()) is None


def test_an_empty_owner_is_nobody(archive: CallStore) -> None:
    call = ended(archive.new_call_id())
    archive.add("", call)
    assert archive.get("", call.call_id) is None
    assert archive.calls_of("") == ()


def test_newest_first(archive: CallStore) -> None:
    calls = [ended(archive.new_call_id(), NOW + at) for at in (3, 1, 2)]
    for call in calls:
        archive.add(ANN, call)
    assert [call.started_at - NOW for call in archive.calls_of(ANN)] == [3, 2, 1]


def test_a_call_without_a_recording_leaves_nothing_on_the_disk(archive: CallStore, directory: Path) -> None:
    call = ended(archive.new_call_id())
    archive.add(ANN, call)
    assert archive.recording_of(ANN, call.call_id) is None
    assert not directory.exists()


def test_a_recording_that_vanished(archive: CallStore, writer: RecordingWriter) -> None:
    call = recorded_call(archive, writer)
    archive.recording_path(call.call_id).unlink()
    assert archive.recording_of(ANN, call.call_id) is None
    assert archive.get(ANN, call.call_id) is not None


# Bounds ------------------------------------------------------------------------------------------------


def test_an_owner_keeps_the_newest(archive: CallStore) -> None:
    other = ended(archive.new_call_id(), NOW - 1)
    archive.add(BOB, other)
    for at in range(CALLS_PER_OWNER + 3):
        archive.add(ANN, ended(archive.new_call_id(), NOW + at))
    assert [call.started_at - NOW for call in archive.calls_of(ANN)] == list(
        range(CALLS_PER_OWNER + 2, 2, -1)
    )
    assert archive.calls_of(BOB) == (other,)


def test_there_is_an_end_to_all_calls(archive: CallStore, monkeypatch: pytest.MonkeyPatch) -> None:
    assert CALLS_IN_ALL == 2_000
    monkeypatch.setattr(archive_module, "CALLS_IN_ALL", 5)
    for at in range(8):
        archive.add(f"owner {at}", ended(archive.new_call_id(), NOW + at))
    assert [len(archive.calls_of(f"owner {at}")) for at in range(8)] == [0, 0, 0, 1, 1, 1, 1, 1]


def test_long_calls_cannot_fill_the_memory(archive: CallStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_module, "LEVELS_IN_ALL", 1_000)
    for at in range(5):
        call = replace(ended(archive.new_call_id(), NOW + at), caller_levels_dbfs=(-20.0,) * 300)
        archive.add(ANN, call)
    assert [call.started_at - NOW for call in archive.calls_of(ANN)] == [4, 3, 2]


def test_levels_are_kept_as_whole_decibels(archive: CallStore) -> None:
    call = replace(ended(archive.new_call_id()), caller_levels_dbfs=(-100.0, -33.4, -33.6, 0.2, 600.0))
    archive.add(ANN, call)
    assert archive.calls_of(ANN)[0].caller_levels_dbfs == (-100.0, -33.0, -34.0, 0.0, 100.0)


def test_what_leaves_the_memory_for_want_of_room_stays_on_the_disk_until_it_expires(
    archive: CallStore,
    directory: Path,
    clock: Clock,
    writer: RecordingWriter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    call = recorded_call(archive, writer)
    with monkeypatch.context() as small:
        small.setattr(archive_module, "CALLS_IN_ALL", 1)
        archive.add(BOB, ended(archive.new_call_id(), NOW + 1))
    assert archive.calls_of(ANN) == ()
    for file in directory.iterdir():
        os.utime(file, (NOW, NOW))
    archive.expire(NOW + KEEP_SEC)
    assert restarted(directory, clock).calls_of(ANN) == (call,)
    archive.expire(NOW + KEEP_SEC + 1)
    assert names(directory) == []


# After a restart ---------------------------------------------------------------------------------------


def test_recorded_calls_come_back_to_their_owners(
    archive: CallStore, directory: Path, clock: Clock, writer: RecordingWriter
) -> None:
    one, two = recorded_call(archive, writer, ANN), recorded_call(archive, writer, BOB, NOW + 1)
    later = restarted(directory, clock)
    assert later.calls_of(ANN) == (one,)
    assert later.calls_of(BOB) == (two,)
    assert later.recording_of(ANN, one.call_id) == archive.recording_path(one.call_id)
    assert later.recording_of(ANN, two.call_id) is None


def test_the_table_is_private_and_does_not_tell_the_owner(
    archive: CallStore, directory: Path, writer: RecordingWriter
) -> None:
    call = recorded_call(archive, writer)
    assert names(directory) == [f"call-{call.call_id}.wav"]
    assert stat.S_IMODE((directory / FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    content = (directory / FILE).read_bytes()
    assert ANN.encode() not in content
    assert hashlib.sha256(ANN.encode()).hexdigest().encode() in content


def test_a_call_cut_off_by_a_crash_comes_back_with_what_was_recorded(
    archive: CallStore, directory: Path, clock: Clock, writer: RecordingWriter, opened: list[FileIO]
) -> None:
    call_id = archive.new_call_id()
    archive.begin(ANN, call_id, NOW, "NATF2")
    path = archive.recording_path(call_id)
    record(path, writer, finish=False)
    crash(opened)
    later = restarted(directory, clock)
    (call,) = later.calls_of(ANN)
    assert (call.call_id, call.started_at, call.voice) == (call_id, NOW, "NATF2")
    assert call.reason == "The server stopped during this call."
    assert call.recorded
    assert call.duration_sec == 2.0
    assert later.recording_of(ANN, call_id) == path
    assert not part_path(path).exists()
    assert restarted(directory, clock).calls_of(ANN) == (call,)


def test_a_crash_between_the_end_of_the_recording_and_of_the_call(
    archive: CallStore, directory: Path, clock: Clock, writer: RecordingWriter
) -> None:
    call_id = archive.new_call_id()
    archive.begin(ANN, call_id, NOW, "NATF2")
    record(archive.recording_path(call_id), writer)
    (call,) = restarted(directory, clock).calls_of(ANN)
    assert call.duration_sec == 2.0


def test_a_crash_before_anything_was_recorded_leaves_nothing(
    archive: CallStore, directory: Path, clock: Clock
) -> None:
    archive.begin(ANN, archive.new_call_id(), NOW, "NATF2")
    later = restarted(directory, clock)
    assert later.calls_of(ANN) == ()
    assert names(directory) == []
    later.expire(NOW + KEEP_SEC + 1)
    assert rows(directory) == []


def test_a_recording_without_a_row_is_nobodys_but_expires(
    archive: CallStore, directory: Path, clock: Clock, writer: RecordingWriter, opened: list[FileIO]
) -> None:
    path = archive.recording_path(archive.new_call_id())
    record(path, writer, finish=False)
    crash(opened)
    os.utime(part_path(path), (NOW, NOW))
    later = restarted(directory, clock)
    assert names(directory) == [path.name]
    for owner in (ANN, ""):
        assert later.calls_of(owner) == ()
    later.expire(NOW + KEEP_SEC)
    assert path.exists()
    later.expire(NOW + KEEP_SEC + 1)
    assert not path.exists()


def test_a_call_whose_recording_was_deleted_comes_back_without_it(
    archive: CallStore, directory: Path, clock: Clock, writer: RecordingWriter
) -> None:
    call = recorded_call(archive, writer)
    archive.recording_path(call.call_id).unlink()
    assert restarted(directory, clock).calls_of(ANN) == (replace(call, recorded=False),)


def test_when_nothing_was_recorded_after_all_the_row_goes(archive: CallStore, directory: Path) -> None:
    call = ended(archive.new_call_id(), recorded=False)
    archive.begin(ANN, call.call_id, NOW, "NATF2")
    archive.add(ANN, call)
    assert (names(directory), rows(directory)) == ([], [])
    assert archive.calls_of(ANN) == (call,)


def test_a_beginning_noted_after_the_end_does_not_undo_it(
    archive: CallStore, directory: Path, clock: Clock, writer: RecordingWriter
) -> None:
    call = ended(archive.new_call_id(), recorded=True)
    record(archive.recording_path(call.call_id), writer)
    archive.add(ANN, call)
    archive.begin(ANN, call.call_id, NOW, "NATF2")  # it waited for a thread
    assert restarted(directory, clock).calls_of(ANN) == (call,)
    archive.expire(NOW + KEEP_SEC + 10)
    assert (names(directory), rows(directory)) == ([], [])


def written_before(directory: Path, call: EndedCall, **changes: object) -> Path:
    """A call as earlier versions kept it, in a file of its own."""
    owner_hash = hashlib.sha256(ANN.encode()).hexdigest()
    file = directory / f"call-{call.call_id}.json"
    file.write_text(json.dumps(json.loads(to_json(KeptCall(owner_hash, call))) | changes))
    return file


def test_calls_of_earlier_versions_move_into_the_table(
    archive: CallStore, directory: Path, clock: Clock, writer: RecordingWriter
) -> None:
    call = ended(archive.new_call_id(), recorded=True)
    record(archive.recording_path(call.call_id), writer)
    written_before(directory, call, figures={"dropped_heard": 1, "dropped_said": 2, "lag_frames": 3})
    for _ in range(2):
        later = restarted(directory, clock)
        assert later.calls_of(ANN) == (call,)
        assert later.recording_of(ANN, call.call_id) is not None
        assert (names(directory), rows(directory)) == ([f"call-{call.call_id}.wav"], [call.call_id])


def test_a_table_that_is_damaged_is_put_aside(
    archive: CallStore,
    directory: Path,
    clock: Clock,
    writer: RecordingWriter,
    caplog: pytest.LogCaptureFixture,
) -> None:
    lost = recorded_call(archive, writer)
    (directory / FILE).write_bytes(b"what a disk left of it " * 100)
    later = restarted(directory, clock)
    assert later.calls_of(ANN) == ()
    assert "calls.sqlite3 is damaged" in caplog.text
    call = recorded_call(later, writer)
    assert restarted(directory, clock).calls_of(ANN) == (call,)
    assert archive.recording_path(lost.call_id).exists(), "it expires like every recording"
    assert len([name for name in names(directory) if "damaged" in name]) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"format": "another"},
        {"call_id": "x" * 22},
        {"call_id": 7},
        {"started_at": "soon"},
        {"started_at": None},
        {"duration_sec": True},
        {"duration_sec": float("nan")},
        {"lines": [{"text": "no times"}]},
        {"lines": 5},
        {"notes": [5]},
        {"caller_levels_dbfs": ["loud"]},
        {"figures": {"dropped_heard": "many"}},
        {"figures": 5},
        {"owner_sha256": None},
    ],
)
def test_a_sidecar_that_makes_no_sense_harms_no_other(
    archive: CallStore,
    directory: Path,
    clock: Clock,
    writer: RecordingWriter,
    change: dict[str, object],
    caplog: pytest.LogCaptureFixture,
) -> None:
    bad, good = ended(archive.new_call_id(), recorded=True), recorded_call(archive, writer)
    sidecar = written_before(directory, bad, **change)
    assert restarted(directory, clock).calls_of(ANN) == (good,)
    assert sidecar.exists()
    assert f"call-{bad.call_id[:6]}….json" in caplog.text
    assert bad.call_id not in caplog.text


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"text"', b"null", b"\xff\xfe", b"[" * 100_000])
def test_a_sidecar_that_is_no_json(archive: CallStore, directory: Path, clock: Clock, content: bytes) -> None:
    directory.mkdir()
    sidecar = directory / f"call-{archive.new_call_id()}.json"
    sidecar.write_bytes(content)
    assert restarted(directory, clock).calls_of(ANN) == ()
    assert sidecar.read_bytes() == content


def test_a_first_start(directory: Path, clock: Clock) -> None:
    assert restarted(directory, clock).calls_of(ANN) == ()
    assert not directory.exists()


# Expiry ------------------------------------------------------------------------------------------------


def test_calls_go_when_their_time_has_come(
    archive: CallStore, directory: Path, writer: RecordingWriter
) -> None:
    old, new = recorded_call(archive, writer), recorded_call(archive, writer, ANN, NOW + 100)
    archive.expire(NOW + 2 + KEEP_SEC)  # it took two seconds
    assert len(archive.calls_of(ANN)) == 2
    archive.expire(NOW + 2 + KEEP_SEC + 0.001)
    assert archive.calls_of(ANN) == (new,)
    assert archive.get(ANN, old.call_id) is None
    assert names(directory) == [f"call-{new.call_id}.wav"]
    assert rows(directory) == [new.call_id]


def test_what_expired_while_the_server_was_down_goes_at_the_start(
    archive: CallStore, directory: Path, clock: Clock, writer: RecordingWriter
) -> None:
    recorded_call(archive, writer)
    clock.now = NOW + KEEP_SEC + 3
    assert restarted(directory, clock).calls_of(ANN) == ()
    assert names(directory) == []


def test_a_call_in_progress_is_never_touched(
    archive: CallStore, directory: Path, writer: RecordingWriter
) -> None:
    call = ended(archive.new_call_id(), recorded=True)
    archive.begin(ANN, call.call_id, NOW, "NATF2")
    path = archive.recording_path(call.call_id)
    record(path, writer, finish=False)
    for file in directory.iterdir():
        os.utime(file, (NOW, NOW))
    before = names(directory)
    archive.expire(NOW + 100 * KEEP_SEC)
    assert names(directory) == before
    part_path(path).replace(path)  # its recording is closed, the call not yet in the archive
    archive.expire(NOW + 100 * KEEP_SEC)
    assert path.exists()


def test_files_that_are_not_ours_are_never_touched(archive: CallStore, directory: Path) -> None:
    directory.mkdir()
    call_id = archive.new_call_id()
    foreign = ["holiday.wav", "notes.json", f"{call_id}.wav", f"call-{call_id}x.wav", f"call-{call_id}.mp3"]
    foreign += [f"call-{call_id}.part.wav", f"call-{call_id[1:]}.json", "call-.wav", ".keep"]
    for name in foreign:
        (directory / name).write_text("mine")
        os.utime(directory / name, (NOW, NOW))
    (directory / f"call-{call_id}.wav").mkdir()
    os.utime(directory / f"call-{call_id}.wav", (NOW, NOW))
    before = names(directory)
    archive.load()
    archive.expire(NOW + 100 * KEEP_SEC)
    assert names(directory) == before


def test_leftovers_of_ours_go_when_they_are_old(archive: CallStore, directory: Path) -> None:
    directory.mkdir()
    for ending in (".json", ".json.new", ".wav"):
        file = directory / f"call-{archive.new_call_id()}{ending}"
        file.write_text("broken")
        os.utime(file, (NOW, NOW))
    archive.expire(NOW + KEEP_SEC)
    assert len(names(directory)) == 3
    archive.expire(NOW + KEEP_SEC + 1)
    assert names(directory) == []


# What a disk does --------------------------------------------------------------------------------------


def test_a_full_disk_keeps_no_call_from_its_owner(
    archive: CallStore,
    directory: Path,
    clock: Clock,
    writer: RecordingWriter,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    call = ended(archive.new_call_id(), recorded=True)
    archive.begin(ANN, call.call_id, NOW, call.voice)
    record(archive.recording_path(call.call_id), writer)

    def full(table: CallTable, kept: KeptCall) -> None:
        with Database(directory / FILE, "").transaction():
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(CallTable, "put", full)
    archive.add(ANN, call)
    assert "No space left" in caplog.text
    assert call.call_id not in caplog.text
    assert archive.calls_of(ANN) == (call,)
    assert archive.recording_of(ANN, call.call_id) is not None
    monkeypatch.undo()
    (later,) = restarted(directory, clock).calls_of(ANN)  # the row of the beginning is still whole
    assert later.reason == "The server stopped during this call."


def test_a_directory_that_cannot_be_used_breaks_no_call(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "file").write_text("in the way")
    archive = CallStore(tmp_path / "file", KEEP_SEC, clock)
    archive.load()
    call = ended(archive.new_call_id(), recorded=True)
    archive.begin(ANN, call.call_id, NOW, call.voice)
    archive.add(ANN, call)
    assert archive.calls_of(ANN) == (call,)
    assert archive.recording_of(ANN, call.call_id) is None
    archive.expire(NOW + 100 * KEEP_SEC)
    assert archive.calls_of(ANN) == ()
