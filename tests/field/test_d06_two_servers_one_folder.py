"""Two servers on one RECORDINGS_DIR: neither takes the other's live recordings, nor what it keeps."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ
from personaplex_ui.audio.recording.file import part_path
from personaplex_ui.audio.recording.recorder import RecordingWriter, StereoRecording
from personaplex_ui.calls.call_files import CUT_OFF
from personaplex_ui.calls.store import REFRESHED_EVERY_SEC, CallStore
from tests.support.app_process import ROOT
from tests.support.clock import Clock

NOW = 1_700_000_000.0
KEEP_SEC = 3_600.0
ANN = "key of Ann"

BEGINNING = f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
import numpy as np
from personaplex_ui.audio.recording.recorder import RecordingWriter, StereoRecording
from personaplex_ui.calls.store import CallStore
now = float(sys.argv[2])
store = CallStore(Path(sys.argv[1]), {KEEP_SEC}, lambda: now)
def begin():
    call_id = store.new_call_id()
    store.begin({ANN!r}, call_id, now, "NATF2")
    return store.recording_path(call_id)
"""
OTHER_SERVER = """
store.load()
store.expire(now)
print(len(store.calls_of("key of Ann")))
"""
CRASHING = """
writer = RecordingWriter()
recording = StereoRecording(begin(), writer)
for place in (recording.place_caller, recording.place_assistant):
    place(np.full(48_000, 0.5, dtype=np.float32), 48_000)
writer.submit(lambda: None).result()
os._exit(9)
"""
ADDING = """
for _ in range(10):
    begin().write_bytes(bytes(50_000))
"""


@pytest.fixture
def writer() -> Iterator[RecordingWriter]:
    writer = RecordingWriter()
    yield writer
    writer.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of the recording of a call of Ann's that has just begun."""
    store = CallStore(tmp_path, KEEP_SEC, Clock(NOW))
    call_id = store.new_call_id()
    store.begin(ANN, call_id, NOW, "NATF2")
    return store.recording_path(call_id)


def process(program: str, folder: Path, at: float = NOW) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", BEGINNING + program, str(folder), str(at)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def starts_beside(folder: Path, at: float = NOW) -> int:
    """Another process starts on ``folder``; returns how many of Ann's calls it knows."""
    other = process(OTHER_SERVER, folder, at)
    told, _ = other.communicate(timeout=50)
    assert other.returncode == 0
    return int(told)


def speak(recording: StereoRecording, until_sec: int, writer: RecordingWriter) -> None:
    sound = np.full(SAMPLE_RATE_HZ, 0.5, dtype=np.float32)
    for sec in range(until_sec - 1, until_sec + 1):
        recording.place_caller(sound, sec * SAMPLE_RATE_HZ)
        recording.place_assistant(sound, sec * SAMPLE_RATE_HZ)
    writer.submit(lambda: None).result()


@pytest.mark.parametrize("later_sec", [0.0, 2 * KEEP_SEC], ids=["at once", "after they are kept"])
def test_a_live_recording_stays_with_its_server(
    tmp_path: Path, path: Path, writer: RecordingWriter, later_sec: float
) -> None:
    """Also one that goes on for longer than recordings are kept."""
    recording = StereoRecording(path, writer)
    speak(recording, 2, writer)
    assert starts_beside(tmp_path, NOW + later_sec) == 0
    assert part_path(path).exists()
    speak(recording, 4, writer)
    assert recording.finish(4 * SAMPLE_RATE_HZ).result() == path
    assert path.stat().st_size > 4 * SAMPLE_RATE_HZ * 4, "all that was said is there"


def test_a_call_that_has_just_begun_is_not_forgotten(
    tmp_path: Path, path: Path, writer: RecordingWriter
) -> None:
    """Its owner is noted before the first sound is."""
    assert starts_beside(tmp_path) == 0
    recording = StereoRecording(path, writer)
    speak(recording, 2, writer)
    recording.finish(2 * SAMPLE_RATE_HZ).result()
    assert starts_beside(tmp_path) == 1, "as after a crash: the row is still there"


def test_what_a_crash_left_is_taken_over(tmp_path: Path) -> None:
    crashed = process(CRASHING, tmp_path)
    crashed.communicate(timeout=50)
    assert crashed.returncode == 9
    assert starts_beside(tmp_path) == 1
    assert not list(tmp_path.glob("*.part.wav"))


def test_both_keep_their_calls_in_one_table(tmp_path: Path) -> None:
    """Many at once, from several processes: none is lost."""
    processes = [process(ADDING, tmp_path) for _ in range(3)]
    for adding in processes:
        adding.communicate(timeout=50)
    assert [adding.returncode for adding in processes] == [0, 0, 0]
    assert starts_beside(tmp_path) == 30


ENDED = """
import soundfile
from personaplex_ui.calls.snapshot import EndedCall
path = begin()
soundfile.write(path, np.full((24_000, 2), 0.5), 24_000)
call_id = path.stem.removeprefix("call-")
store.add("key of Ann", EndedCall(call_id, now, 1.0, "NATF2", "You hung up.", (), (), (), (), recorded=True))
print(call_id)
"""


def test_a_call_of_another_server_is_shown_once_it_has_ended(tmp_path: Path, writer: RecordingWriter) -> None:
    """Without a start in between: a proxy may send a browser elsewhere."""
    clock = Clock(NOW)
    store = CallStore(tmp_path, KEEP_SEC, clock)
    store.load()
    going_on = CallStore(tmp_path, KEEP_SEC, clock)
    live_id = going_on.new_call_id()
    going_on.begin(ANN, live_id, NOW, "NATF2")
    told, _ = process(ENDED, tmp_path).communicate(timeout=50)
    assert store.calls_of(ANN) == ()
    store.refresh()
    [call] = store.calls_of(ANN)
    assert (call.call_id, call.reason, call.recorded) == (told.strip(), "You hung up.", True)
    assert store.get("key of Bob", call.call_id) is None
    assert store.recording_of(ANN, call.call_id) is not None

    recording = StereoRecording(going_on.recording_path(live_id), writer)
    speak(recording, 2, writer)
    recording.finish(2 * SAMPLE_RATE_HZ).result()  # its last words are still looked for
    clock.now += REFRESHED_EVERY_SEC
    store.refresh()
    [cut_off] = [found for found in store.calls_of(ANN) if found.call_id == live_id]
    assert cut_off.reason == CUT_OFF
    going_on.add(ANN, replace(cut_off, reason="The time is over.", recorded=True))
    clock.now += REFRESHED_EVERY_SEC
    store.refresh()
    ended = store.get(ANN, live_id)
    assert ended is not None
    assert ended.reason == "The time is over."

    assert store.delete(ANN, live_id)
    clock.now += REFRESHED_EVERY_SEC
    store.refresh()
    assert [found.call_id for found in store.calls_of(ANN)] == [call.call_id]
