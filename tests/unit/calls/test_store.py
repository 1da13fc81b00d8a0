"""What is kept of calls: for whom, how much, after a restart, until when, and on a disk that refuses."""

import contextlib
import hashlib
import json
import os
import re
import sqlite3
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import FileIO
from pathlib import Path

import numpy as np
import pytest

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ
from personaplex_ui.audio.recording.file import create_file, part_path
from personaplex_ui.audio.recording.recorder import RecordingWriter, StereoRecording
from personaplex_ui.calls import store as store_module
from personaplex_ui.calls.call_table import FILE, CallTable, KeptCall, to_json
from personaplex_ui.calls.conversation_lines import Line, Who
from personaplex_ui.calls.snapshot import CallStats, EndedCall
from personaplex_ui.calls.store import CALLS_IN_ALL, CALLS_PER_OWNER, CallStore
from personaplex_ui.calls.transcript import Utterance
from personaplex_ui.database import Database
from personaplex_ui.errors import CallInProgress, InvalidInput, StorageFailed
from tests.support.clock import Clock

KEEP_SEC = 3_600.0
NOW = 1_700_000_000.0
ANN, BOB = "key of Ann", "key of Bob"
NEW_ID = CallStore.new_call_id


class Place:
    """A store in a folder of its own, with a recorder beside it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = Clock(NOW)
        self.store = CallStore(directory, KEEP_SEC, self.clock)
        self.opened: list[FileIO] = []
        self.writer = RecordingWriter(self._open_file)

    def _open_file(self, path: Path) -> FileIO:
        self.opened.append(create_file(path))
        return self.opened[-1]

    def record(self, call_id: str, finish: bool = True) -> Path:
        """Two seconds of sound, or still in progress."""
        path = self.store.recording_path(call_id)
        recording = StereoRecording(path, self.writer)
        sound = np.full(SAMPLE_RATE_HZ * 2, 0.5, dtype=np.float32)
        recording.place_caller(sound, len(sound))
        recording.place_assistant(sound, len(sound))
        self.writer.submit(lambda: None).result()
        if finish:
            assert recording.finish(len(sound)).result() == path
        return path

    def begin(self) -> str:
        call_id = NEW_ID()
        self.store.begin(ANN, call_id, NOW, "NATF2")
        return call_id

    def recorded_call(self, owner: str = ANN, at: float = NOW) -> EndedCall:
        """A whole recorded call as the call manager does it."""
        call = ended(NEW_ID(), at, recorded=True)
        self.store.begin(owner, call.call_id, at, call.voice)
        self.record(call.call_id)
        self.store.add(owner, call)
        return call

    def crash(self) -> None:
        """The process that writes the recordings is gone, and its locks with it."""
        for file in (file for file in self.opened if not file.closed):
            with open(os.devnull, "r+b") as nothing:
                os.dup2(nothing.fileno(), file.fileno())

    def restarted(self) -> CallStore:
        store = CallStore(self.directory, KEEP_SEC, self.clock)
        store.load()
        return store

    def names(self) -> list[str]:
        """The files there; the table of calls is not one of them."""
        return sorted(path.name for path in self.directory.iterdir() if path.name != FILE)

    def rows(self) -> list[str]:
        """The ids of the calls that the table holds."""
        with contextlib.closing(sqlite3.connect(self.directory / FILE)) as connection:
            return [row[0] for row in connection.execute("SELECT call_id FROM calls")]

    def make_files_old(self) -> None:
        for file in self.directory.iterdir():
            os.utime(file, (NOW, NOW))

    def written_before(self, call: EndedCall, **changes: object) -> Path:
        """A call as earlier versions kept it, in a file of its own."""
        owner_hash = hashlib.sha256(ANN.encode()).hexdigest()
        file = self.directory / f"call-{call.call_id}.json"
        file.write_text(json.dumps(json.loads(to_json(KeptCall(owner_hash, call))) | changes))
        return file


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path / "recordings")
    yield place
    place.writer.close()


@pytest.fixture
def store(place: Place) -> CallStore:
    return place.store


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


def starts(store: CallStore, owner: str = ANN) -> list[float]:
    return [call.started_at - NOW for call in store.calls_of(owner)]


# Whose call it is --------------------------------------------------------------------------------------


def test_ids_cannot_be_guessed_and_make_a_path(place: Place) -> None:
    ids = {NEW_ID() for _ in range(1_000)}
    assert len(ids) == 1_000
    for call_id in ids:
        assert re.fullmatch(r"[A-Za-z0-9_-]{22}", call_id)
        assert place.store.recording_path(call_id) == place.directory / f"call-{call_id}.wav"


BAD_IDS = ["", "a" * 21, "a" * 23, "../" + "a" * 19, *("a" * 21 + sign for sign in "/é\0"), "a" * 22 + "\n"]


@pytest.mark.parametrize("bad", BAD_IDS)
def test_what_is_not_an_id_comes_near_no_path(store: CallStore, bad: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        store.recording_path(bad)
    assert refused.value.field == "call_id"
    assert store.get(ANN, bad) is None
    assert store.recording_of(ANN, bad) is None


def test_only_the_owner_gets_a_call(place: Place) -> None:
    call, store = place.recorded_call(), place.store
    assert store.get(ANN, call.call_id) == call
    assert store.recording_of(ANN, call.call_id) == store.recording_path(call.call_id)
    assert store.calls_of(ANN) == (call,)
    for stranger in (BOB, "", "é", hashlib.sha256(ANN.encode()).hexdigest()):
        assert store.get(stranger, call.call_id) is None
        assert store.recording_of(stranger, call.call_id) is None
        assert store.calls_of(stranger) == ()
    assert store.get(ANN, NEW_ID()) is None


def test_an_empty_owner_is_nobody(store: CallStore) -> None:
    call = ended(NEW_ID())
    store.add("", call)
    assert store.get("", call.call_id) is None
    assert store.calls_of("") == ()


def test_a_call_without_a_recording_leaves_nothing_on_the_disk(place: Place) -> None:
    call = ended(NEW_ID())
    place.store.add(ANN, call)
    assert place.store.recording_of(ANN, call.call_id) is None
    assert not place.directory.exists()


def test_a_recording_that_vanished(place: Place) -> None:
    call, store = place.recorded_call(), place.store
    store.recording_path(call.call_id).unlink()
    assert store.recording_of(ANN, call.call_id) is None
    assert store.get(ANN, call.call_id) is not None
    assert place.restarted().calls_of(ANN) == (replace(call, recorded=False),)


# Bounds ------------------------------------------------------------------------------------------------


def test_an_owner_keeps_the_newest_and_sees_them_first(store: CallStore) -> None:
    other = ended(NEW_ID(), NOW - 1)
    store.add(BOB, other)
    for at in (1, 0, *range(2, CALLS_PER_OWNER + 3)):
        store.add(ANN, ended(NEW_ID(), NOW + at))
    assert starts(store) == list(range(CALLS_PER_OWNER + 2, 2, -1))
    assert store.calls_of(BOB) == (other,)


def test_there_is_an_end_to_all_calls(store: CallStore, monkeypatch: pytest.MonkeyPatch) -> None:
    assert CALLS_IN_ALL == 2_000
    monkeypatch.setattr(store_module, "CALLS_IN_ALL", 5)
    for at in range(8):
        store.add(f"owner {at}", ended(NEW_ID(), NOW + at))
    assert [len(store.calls_of(f"owner {at}")) for at in range(8)] == [0, 0, 0, 1, 1, 1, 1, 1]


def test_long_calls_cannot_fill_the_memory(store: CallStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "LEVELS_IN_ALL", 1_000)
    for at in range(5):
        store.add(ANN, replace(ended(NEW_ID(), NOW + at), caller_levels_dbfs=(-20.0,) * 300))
    assert starts(store) == [4, 3, 2]


def test_levels_are_kept_as_whole_decibels(store: CallStore) -> None:
    store.add(ANN, replace(ended(NEW_ID()), caller_levels_dbfs=(-100.0, -45.0, -45.1, 0.2, 600.0)))
    assert store.calls_of(ANN)[0].caller_levels_dbfs == (-100.0, -45.0, -46.0, 0.0, 100.0)


def test_what_leaves_the_memory_for_want_of_room_stays_on_the_disk_until_it_expires(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, store = place.recorded_call(), place.store
    with monkeypatch.context() as small:
        small.setattr(store_module, "CALLS_IN_ALL", 1)
        store.add(BOB, ended(NEW_ID(), NOW + 1))
    assert store.calls_of(ANN) == ()
    place.make_files_old()
    store.expire(NOW + KEEP_SEC)
    assert place.restarted().calls_of(ANN) == (call,)
    store.expire(NOW + KEEP_SEC + 1)
    assert place.names() == []


# After a restart ---------------------------------------------------------------------------------------


def test_recorded_calls_come_back_to_their_owners(place: Place) -> None:
    one, two = place.recorded_call(ANN), place.recorded_call(BOB, NOW + 1)
    later = place.restarted()
    assert later.calls_of(ANN) == (one,)
    assert later.calls_of(BOB) == (two,)
    assert later.recording_of(ANN, one.call_id) == place.store.recording_path(one.call_id)
    assert later.recording_of(ANN, two.call_id) is None


def test_the_table_is_private_and_does_not_tell_the_owner(place: Place) -> None:
    call = place.recorded_call()
    assert place.names() == [f"call-{call.call_id}.wav"]
    assert stat.S_IMODE((place.directory / FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE(place.directory.stat().st_mode) == 0o700
    content = (place.directory / FILE).read_bytes()
    assert ANN.encode() not in content
    assert hashlib.sha256(ANN.encode()).hexdigest().encode() in content


@pytest.mark.parametrize("recording_ended", [False, True])
def test_a_call_cut_off_by_a_crash_comes_back_with_what_was_recorded(
    place: Place, recording_ended: bool
) -> None:
    call_id = place.begin()
    path = place.record(call_id, finish=recording_ended)
    place.crash()
    later = place.restarted()
    (call,) = later.calls_of(ANN)
    assert (call.call_id, call.started_at, call.voice) == (call_id, NOW, "NATF2")
    assert (call.reason, call.recorded) == ("The server stopped during this call.", True)
    assert call.duration_sec == 2.0
    assert later.recording_of(ANN, call_id) == path
    assert not part_path(path).exists()
    assert place.restarted().calls_of(ANN) == (call,)


def test_a_crash_before_anything_was_recorded_leaves_nothing(place: Place) -> None:
    place.begin()
    later = place.restarted()
    assert later.calls_of(ANN) == ()
    assert place.names() == []
    later.expire(NOW + KEEP_SEC + 1)
    assert place.rows() == []


def test_a_recording_without_a_row_is_nobodys_but_expires(place: Place) -> None:
    path = place.record(NEW_ID(), finish=False)
    half_a_film = path.with_name(f"call-{NEW_ID()}.mp4.part")
    half_a_film.write_text("half a video")
    half_a_report = path.with_name(f"call-{NEW_ID()}.report.json.part")
    half_a_report.write_text("half a report")
    place.crash()
    place.make_files_old()
    later = place.restarted()
    assert sorted(place.names()) == sorted([path.name, half_a_film.name, half_a_report.name])
    assert [later.calls_of(owner) for owner in (ANN, "")] == [(), ()]
    later.expire(NOW + KEEP_SEC)
    assert path.exists()
    later.expire(NOW + KEEP_SEC + 1)
    assert place.names() == []


def test_the_video_and_the_report_of_a_call_expire_with_it(place: Place) -> None:
    call = place.recorded_call()
    place.store.face_path(call.call_id).write_text("a video of it")
    place.store.report_path(call.call_id).write_text("{}")
    place.store.expire(call.ended_at + KEEP_SEC)
    assert len(place.names()) == 3
    place.store.expire(call.ended_at + KEEP_SEC + 1)
    assert place.names() == []


def test_when_nothing_was_recorded_after_all_the_row_goes(place: Place) -> None:
    call = ended(place.begin(), recorded=False)
    place.store.add(ANN, call)
    assert (place.names(), place.rows()) == ([], [])
    assert place.store.calls_of(ANN) == (call,)


def test_a_beginning_noted_after_the_end_does_not_undo_it(place: Place) -> None:
    call = ended(NEW_ID(), recorded=True)
    place.record(call.call_id)
    place.store.add(ANN, call)
    place.store.begin(ANN, call.call_id, NOW, "NATF2")  # it waited for a thread
    assert place.restarted().calls_of(ANN) == (call,)
    place.store.expire(NOW + KEEP_SEC + 10)
    assert (place.names(), place.rows()) == ([], [])


def test_calls_of_earlier_versions_move_into_the_table(place: Place) -> None:
    call = ended(NEW_ID(), recorded=True)
    place.record(call.call_id)
    place.written_before(call, figures={"dropped_heard": 1, "dropped_said": 2, "lag_frames": 3})
    for _ in range(2):
        later = place.restarted()
        assert later.calls_of(ANN) == (call,)
        assert later.recording_of(ANN, call.call_id) is not None
        assert (place.names(), place.rows()) == ([f"call-{call.call_id}.wav"], [call.call_id])


def test_a_table_that_is_damaged_is_put_aside(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    lost = place.recorded_call()
    (place.directory / FILE).write_bytes(b"what a disk left of it " * 100)
    assert place.restarted().calls_of(ANN) == ()
    assert "calls.sqlite3 is damaged" in caplog.text
    call = place.recorded_call()
    assert place.restarted().calls_of(ANN) == (call,)
    assert place.store.recording_path(lost.call_id).exists(), "it expires like every recording"
    assert len([name for name in place.names() if "damaged" in name]) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"format": "another"},
        {"call_id": "x" * 22},
        {"call_id": 7},
        {"started_at": None},
        {"duration_sec": True},
        {"duration_sec": float("nan")},
        {"lines": [{"text": "no times"}]},
        {"notes": [5]},
        {"caller_levels_dbfs": ["loud"]},
        {"conversation": [{"who": "somebody"}]},
        {"text_prompt": None},
        {"figures": {"dropped_heard": "many"}},
        {"owner_sha256": None},
        *(b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000),
    ],
)
def test_a_sidecar_that_makes_no_sense_harms_no_other(
    place: Place, change: dict[str, object] | bytes, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = ended(NEW_ID(), recorded=True), place.recorded_call()
    sidecar = place.written_before(bad, **(change if isinstance(change, dict) else {}))
    if isinstance(change, bytes):
        sidecar.write_bytes(change)
    content = sidecar.read_bytes()
    assert place.restarted().calls_of(ANN) == (good,)
    assert sidecar.read_bytes() == content
    assert f"call-{bad.call_id[:6]}….json" in caplog.text
    assert bad.call_id not in caplog.text


def test_a_first_start(place: Place) -> None:
    assert place.restarted().calls_of(ANN) == ()
    assert not place.directory.exists()


LINES = (
    Line(0, Who.ASSISTANT, 0.5, 1.25, "Grüße — 日本", cut=True),
    Line(1, Who.CALLER, 1.0, 2.0, interrupts=True, levels=(0, 5, 9)),
    Line(2, Who.TYPED, 1.5, 1.5, "Say hello."),
)


def test_role_and_lines_of_both_sides_are_kept(place: Place) -> None:
    call = replace(ended(NEW_ID(), recorded=True), text_prompt="Be kind.\nBe brief.", lines=LINES)
    place.record(call.call_id)
    place.store.add(ANN, call)
    assert place.restarted().calls_of(ANN) == (call,)


def test_rows_of_earlier_versions_have_neither(place: Place) -> None:
    call = place.recorded_call()
    with contextlib.closing(sqlite3.connect(place.directory / FILE)) as table, table:
        table.execute(
            "UPDATE calls SET record = json_remove(record, '$.conversation', '$.text_prompt', "
            "'$.lines[0].speaker')"
        )
    assert place.restarted().calls_of(ANN) == (call,)
    assert (call.text_prompt, call.lines, call.utterances[0].speaker) == ("", (), "assistant")


def test_a_call_cut_off_by_a_crash_still_has_its_role(place: Place) -> None:
    call_id = NEW_ID()
    place.store.begin(ANN, call_id, NOW, "NATF2", "Be kind.")
    place.record(call_id)
    (call,) = place.restarted().calls_of(ANN)
    assert call.text_prompt == "Be kind."


def test_many_lines_cannot_fill_the_memory(store: CallStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "LEVELS_IN_ALL", 1_000)
    for at in range(5):
        store.add(ANN, replace(ended(NEW_ID(), NOW + at), lines=LINES))
    assert starts(store) == [4, 3, 2]


# Expiry ------------------------------------------------------------------------------------------------


def test_calls_go_when_their_time_has_come(place: Place) -> None:
    old, new = place.recorded_call(), place.recorded_call(ANN, NOW + 100)
    store = place.store
    store.expire(NOW + 2 + KEEP_SEC)  # it took two seconds
    assert len(store.calls_of(ANN)) == 2
    store.expire(NOW + 2 + KEEP_SEC + 0.001)
    assert store.calls_of(ANN) == (new,)
    assert store.get(ANN, old.call_id) is None
    assert (place.names(), place.rows()) == ([f"call-{new.call_id}.wav"], [new.call_id])
    place.clock.now = NOW + 100 + KEEP_SEC + 3
    assert place.restarted().calls_of(ANN) == ()
    assert place.names() == []


def test_a_call_in_progress_is_never_touched(place: Place) -> None:
    path = place.record(place.begin(), finish=False)
    place.make_files_old()
    before = place.names()
    place.store.expire(NOW + 100 * KEEP_SEC)
    assert place.names() == before
    part_path(path).replace(path)  # its recording is closed, the call not yet in the store
    place.store.expire(NOW + 100 * KEEP_SEC)
    assert path.exists()


def test_files_that_are_not_ours_are_never_touched(place: Place) -> None:
    place.directory.mkdir()
    call_id = NEW_ID()
    foreign = ["holiday.wav", "notes.json", f"{call_id}.wav", f"call-{call_id}x.wav", f"call-{call_id}.mp3"]
    foreign += [f"call-{call_id}.part.wav", f"call-{call_id[1:]}.json", "call-.wav", ".keep"]
    for name in foreign:
        (place.directory / name).write_text("mine")
    (place.directory / f"call-{call_id}.wav").mkdir()
    place.make_files_old()
    before = place.names()
    place.store.load()
    place.store.expire(NOW + 100 * KEEP_SEC)
    assert place.names() == before


def test_leftovers_of_ours_go_when_they_are_old(place: Place) -> None:
    place.directory.mkdir()
    for ending in (".json", ".json.new", ".wav"):
        (place.directory / f"call-{NEW_ID()}{ending}").write_text("broken")
    place.make_files_old()
    place.store.expire(NOW + KEEP_SEC)
    assert len(place.names()) == 3
    place.store.expire(NOW + KEEP_SEC + 1)
    assert place.names() == []


# Deletion ----------------------------------------------------------------------------------------------


def test_the_owner_deletes_a_call_and_nothing_is_left(place: Place) -> None:
    call, other, store = place.recorded_call(), place.recorded_call(at=NOW + 1), place.store
    (place.directory / f"call-{call.call_id}.json").write_text("left by an earlier version")
    place.store.face_path(call.call_id).write_text("a video of it")
    for stranger in (BOB, "", hashlib.sha256(ANN.encode()).hexdigest()):
        assert not store.delete(stranger, call.call_id)
    assert store.get(ANN, call.call_id) == call
    assert store.delete(ANN, call.call_id)
    assert store.calls_of(ANN) == (other,)
    assert store.recording_of(ANN, call.call_id) is None
    assert (place.names(), place.rows()) == ([f"call-{other.call_id}.wav"], [other.call_id])
    assert place.restarted().calls_of(ANN) == (other,)


def test_deleting_again_is_no_fault_while_it_is_remembered(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "DELETIONS_REMEMBERED", 2)
    calls, store = [place.recorded_call() for _ in range(3)], place.store
    assert all(store.delete(ANN, call.call_id) for call in calls)
    assert [store.delete(ANN, call.call_id) for call in calls] == [False, True, True]
    assert not store.delete(BOB, calls[2].call_id)
    assert not place.restarted().delete(ANN, calls[2].call_id)


@pytest.mark.parametrize("call_id", [*BAD_IDS, "A" * 22])
def test_what_is_not_there_cannot_be_deleted(place: Place, call_id: str) -> None:
    place.recorded_call()
    before = place.names()
    assert not place.store.delete(ANN, call_id)
    assert place.names() == before


def test_a_call_without_a_recording_is_deleted_too(place: Place) -> None:
    call = ended(NEW_ID())
    place.store.add(ANN, call)
    assert place.store.delete(ANN, call.call_id)
    assert place.store.calls_of(ANN) == ()
    assert not place.directory.exists()


def test_a_call_in_progress_has_to_end_first(place: Place) -> None:
    call, store = ended(place.begin(), recorded=True), place.store
    path = place.record(call.call_id, finish=False)
    with pytest.raises(CallInProgress, match="End it first"):
        store.delete(ANN, call.call_id)
    assert not store.delete(BOB, call.call_id)
    assert part_path(path).exists()
    store.add(ANN, call)  # a slow disk has not yet closed the recording
    assert store.delete(ANN, call.call_id)
    assert (place.names(), place.rows()) == ([], [])


def test_a_call_of_another_server_on_the_folder(place: Place) -> None:
    other = CallStore(place.directory, KEEP_SEC, place.clock)
    call, kept = place.recorded_call(), place.recorded_call(at=NOW + 1)
    assert not other.delete(BOB, call.call_id)
    assert other.delete(ANN, call.call_id)
    assert (place.names(), place.rows()) == ([f"call-{kept.call_id}.wav"], [kept.call_id])
    place.store.expire(NOW)
    assert place.store.calls_of(ANN) == (kept,), "the other server's deletion is noticed"


@pytest.mark.parametrize("sound_began", [False, True])
def test_a_call_in_progress_on_another_server(place: Place, sound_began: bool) -> None:
    other = CallStore(place.directory, KEEP_SEC, place.clock)
    call_id = place.begin()
    if sound_began:
        place.record(call_id, finish=False)
    with pytest.raises(CallInProgress):
        other.delete(ANN, call_id)
    assert place.rows() == [call_id]
    if sound_began:
        place.crash()
        assert other.delete(ANN, call_id)
        assert (place.names(), place.rows()) == ([], [])


def test_many_delete_one_call_at_once(place: Place) -> None:
    call = place.recorded_call()
    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(place.store.delete, [ANN] * 24, [call.call_id] * 24))
    assert (place.names(), place.rows(), place.store.calls_of(ANN)) == ([], [], ())


@pytest.mark.parametrize("first", ["add", "delete"])
def test_a_call_deleted_while_it_is_being_kept_does_not_come_back(place: Place, first: str) -> None:
    """The page shows a call as soon as it is in memory, which is before its row is written."""
    calls, store = [ended(NEW_ID(), recorded=True) for _ in range(10)], place.store
    for call in calls:
        store.begin(ANN, call.call_id, NOW, call.voice)
        place.record(call.call_id)

    def delete(call: EndedCall) -> None:
        while store.get(ANN, call.call_id) is None:
            continue
        assert store.delete(ANN, call.call_id)

    with ThreadPoolExecutor(2) as threads:
        for call in calls:
            jobs = [lambda call=call: store.add(ANN, call), lambda call=call: delete(call)]
            done = [threads.submit(job) for job in (jobs if first == "add" else reversed(jobs))]
            for each in done:
                each.result(timeout=20)
    assert (place.names(), place.rows(), store.calls_of(ANN)) == ([], [], ())


@pytest.mark.parametrize("fails", ["file", "row", "table"])
def test_a_disk_that_does_not_let_go(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fails: str
) -> None:
    call = place.recorded_call()
    store = CallStore(place.directory, KEEP_SEC, place.clock) if fails == "table" else place.store

    def refuse(*_: object, **__: object) -> None:
        raise {"file": OSError(30, "Read-only file system")}.get(fails, StorageFailed("It is locked."))

    if fails == "file":
        monkeypatch.setattr(Path, "unlink", refuse)
    else:
        monkeypatch.setattr(CallTable, "remove" if fails == "row" else "get", refuse)
    with pytest.raises(StorageFailed, match="try again"):
        store.delete(ANN, call.call_id)
    assert place.store.get(ANN, call.call_id) == call
    assert call.call_id not in caplog.text
    assert call.call_id[:6] in caplog.text
    monkeypatch.undo()
    assert store.delete(ANN, call.call_id)
    assert (place.names(), place.rows()) == ([], [])


# What a disk does --------------------------------------------------------------------------------------


def test_a_full_disk_keeps_no_call_from_its_owner(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    call, store = ended(place.begin(), recorded=True), place.store
    place.record(call.call_id)

    def full(table: CallTable, kept: KeptCall) -> None:
        with Database(place.directory / FILE, "").transaction():
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(CallTable, "put", full)
    store.add(ANN, call)
    assert "No space left" in caplog.text
    assert call.call_id not in caplog.text
    assert store.calls_of(ANN) == (call,)
    assert store.recording_of(ANN, call.call_id) is not None
    monkeypatch.undo()
    (later,) = place.restarted().calls_of(ANN)  # the row of the beginning is still whole
    assert later.reason == "The server stopped during this call."


def test_a_directory_that_cannot_be_used_breaks_no_call(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = CallStore(tmp_path / "file", KEEP_SEC, Clock(NOW))
    store.load()
    call = ended(NEW_ID(), recorded=True)
    store.begin(ANN, call.call_id, NOW, call.voice)
    store.add(ANN, call)
    assert store.calls_of(ANN) == (call,)
    assert store.recording_of(ANN, call.call_id) is None
    store.expire(NOW + 100 * KEEP_SEC)
    assert store.calls_of(ANN) == ()
