"""Two servers on one RECORDINGS_DIR: neither takes the other's live recordings, nor what it keeps."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ
from personaplex_ui.audio.recording.file import part_path
from personaplex_ui.audio.recording.recorder import RecordingWriter, StereoRecording
from personaplex_ui.calls.store import CallStore
from tests.support.app_process import ROOT
from tests.support.clock import Clock

NOW = 1_700_000_000.0
KEEP_SEC = 3_600.0
ANN = "key of Ann"

OTHER_SERVER = """
import sys
from pathlib import Path
from personaplex_ui.calls.store import CallStore

store = CallStore(Path(sys.argv[1]), 3_600.0, lambda: float(sys.argv[2]))
store.load()
store.expire(float(sys.argv[2]))
print(len(store.calls_of("key of Ann")))
"""


@pytest.fixture
def writer() -> Iterator[RecordingWriter]:
    writer = RecordingWriter()
    yield writer
    writer.close()


def starts_beside(folder: Path, at: float = NOW) -> int:
    """Another process starts on ``folder``; returns how many of Ann's calls it knows."""
    done = subprocess.run(
        [sys.executable, "-c", OTHER_SERVER, str(folder), str(at)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def speak(recording: StereoRecording, until_sec: int, writer: RecordingWriter) -> None:
    sound = np.full(SAMPLE_RATE_HZ, 0.5, dtype=np.float32)
    for sec in range(until_sec - 1, until_sec + 1):
        recording.place_caller(sound, sec * SAMPLE_RATE_HZ)
        recording.place_assistant(sound, sec * SAMPLE_RATE_HZ)
    writer.submit(lambda: None).result()


def test_a_live_recording_stays_with_its_server(tmp_path: Path, writer: RecordingWriter) -> None:
    store = CallStore(tmp_path, KEEP_SEC, Clock(NOW))
    call_id = store.new_call_id()
    path = store.recording_path(call_id)
    store.begin(ANN, call_id, NOW, "NATF2")
    recording = StereoRecording(path, writer)
    speak(recording, 2, writer)
    assert starts_beside(tmp_path) == 0
    assert part_path(path).exists()
    speak(recording, 4, writer)
    assert recording.finish(4 * SAMPLE_RATE_HZ).result() == path
    assert path.stat().st_size > 4 * SAMPLE_RATE_HZ * 4, "all that was said is there"


def test_a_call_that_has_just_begun_is_not_forgotten(tmp_path: Path, writer: RecordingWriter) -> None:
    """Its owner is noted before the first sound is."""
    store = CallStore(tmp_path, KEEP_SEC, Clock(NOW))
    call_id = store.new_call_id()
    store.begin(ANN, call_id, NOW, "NATF2")
    assert starts_beside(tmp_path) == 0
    recording = StereoRecording(store.recording_path(call_id), writer)
    speak(recording, 2, writer)
    recording.finish(2 * SAMPLE_RATE_HZ).result()
    assert starts_beside(tmp_path) == 1, "as after a crash: the row is still there"


def test_a_recording_goes_on_for_longer_than_they_are_kept(tmp_path: Path, writer: RecordingWriter) -> None:
    store = CallStore(tmp_path, KEEP_SEC, Clock(NOW))
    call_id = store.new_call_id()
    path = store.recording_path(call_id)
    store.begin(ANN, call_id, NOW, "NATF2")
    recording = StereoRecording(path, writer)
    speak(recording, 2, writer)
    assert starts_beside(tmp_path, NOW + 2 * KEEP_SEC) == 0
    assert part_path(path).exists()
    assert recording.finish(2 * SAMPLE_RATE_HZ).result() == path


def test_what_a_crash_left_is_taken_over(tmp_path: Path) -> None:
    crashing = f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
import numpy as np
from pathlib import Path
from personaplex_ui.audio.recording.recorder import RecordingWriter, StereoRecording
from personaplex_ui.calls.store import CallStore
store = CallStore(Path({str(tmp_path)!r}), {KEEP_SEC}, lambda: {NOW})
call_id = store.new_call_id()
store.begin({ANN!r}, call_id, {NOW}, "NATF2")
writer = RecordingWriter()
recording = StereoRecording(store.recording_path(call_id), writer)
recording.place_caller(np.full(48_000, 0.5, dtype=np.float32), 48_000)
recording.place_assistant(np.full(48_000, 0.5, dtype=np.float32), 48_000)
writer.submit(lambda: None).result()
os._exit(9)
"""
    assert subprocess.run([sys.executable, "-c", crashing], cwd=ROOT, timeout=50).returncode == 9
    assert starts_beside(tmp_path) == 1
    assert not list(tmp_path.glob("*.part.wav"))


def test_both_keep_their_calls_in_one_table(tmp_path: Path) -> None:
    """Many at once, from several processes: none is lost."""
    adding = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from personaplex_ui.calls.store import CallStore
store = CallStore(Path({str(tmp_path)!r}), {KEEP_SEC}, lambda: {NOW})
for _ in range(10):
    call_id = store.new_call_id()
    store.begin({ANN!r}, call_id, {NOW}, "NATF2")
    store.recording_path(call_id).write_bytes(bytes(50_000))
"""
    processes = [subprocess.Popen([sys.executable, "-c", adding], cwd=ROOT) for _ in range(3)]
    assert [process.wait(50) for process in processes] == [0, 0, 0]
    assert starts_beside(tmp_path) == 30
