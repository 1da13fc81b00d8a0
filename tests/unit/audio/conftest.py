"""For tests of recordings: where one goes, and the thread that writes it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from personaplex_ui.audio.recording.recorder import RecordingWriter, StereoRecording


@pytest.fixture
def writer() -> Iterator[RecordingWriter]:
    writer = RecordingWriter()
    yield writer
    writer.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "recordings" / "call.wav"


@pytest.fixture
def recording(path: Path, writer: RecordingWriter) -> StereoRecording:
    return StereoRecording(path, writer)
