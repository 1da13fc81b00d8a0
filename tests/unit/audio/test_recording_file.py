"""A recording's file: private, whole at any time, repaired after a crash, and on disks that fail or hang."""

import errno
import os
import shutil
import stat
import struct
import wave
from io import FileIO
from pathlib import Path

import numpy as np
import pytest

from personaplex_ui.audio.files.clip_file import to_pcm16, wav_header
from personaplex_ui.audio.frames import FRAME_SAMPLES, SAMPLE_RATE_HZ, Samples
from personaplex_ui.audio.recording.file import part_path, repair_recordings, shown_name
from personaplex_ui.audio.recording.recorder import RecordingWriter, StereoRecording
from personaplex_ui.errors import RecordingFailed
from tests.support.recording_rig import ASSISTANT, CALLER, Gate, finished, noise, place_frames, read, settle

# The file ----------------------------------------------------------------------------------------------


def test_only_the_server_may_read_it(recording: StereoRecording, path: Path, writer: RecordingWriter) -> None:
    place_frames(recording, noise(48_000))
    settle(writer)
    assert stat.S_IMODE(part_path(path).stat().st_mode) == 0o600
    assert finished(recording, 48_000).any()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_file_in_progress_is_a_whole_wav_at_any_time(
    recording: StereoRecording, path: Path, writer: RecordingWriter
) -> None:
    settle(writer)
    assert len(read(part_path(path))) == 0
    sound = noise(20 * FRAME_SAMPLES)
    for start in range(0, len(sound), FRAME_SAMPLES):
        place_frames(recording, sound[start : start + FRAME_SAMPLES], start)
        settle(writer)
        so_far = read(part_path(path))
        assert len(so_far) >= start + FRAME_SAMPLES - SAMPLE_RATE_HZ // 2 - FRAME_SAMPLES
        assert np.array_equal(so_far[:, CALLER], to_pcm16(sound[: len(so_far)]))
    assert not path.exists()
    assert len(finished(recording, len(sound))) == len(sound)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("call-AbCd_-6789012345678901.part.wav", "call-AbCd_-….part.wav"),
        ("call-AbCd_-6789012345678901.json", "call-AbCd_-….json"),
        ("call-12.wav", "call-12.wav"),
        ("somebody's.part.wav", "somebody's.part.wav"),
    ],
)
def test_the_log_shows_six_letters_of_a_call_only(name: str, shown: str) -> None:
    assert shown_name(Path("/data/recordings") / name) == shown


def test_a_disk_that_fails_is_told_in_the_log_without_the_path(
    tmp_path: Path, writer: RecordingWriter, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    recording = StereoRecording(tmp_path / "file" / "call-AbCd_-6789012345678901.wav", writer)
    settle(writer)
    assert recording.failed is not None
    (line,) = caplog.messages
    assert line.startswith("Recording call-AbCd_-….part.wav stopped: ")
    assert str(tmp_path) not in line
    assert "6789" not in line


# What a crash leaves -----------------------------------------------------------------------------------


def killed(path: Path, writer: RecordingWriter, sec: float = 3.0) -> tuple[Path, Samples]:
    """A directory as a killed server leaves it: a copy of the file in progress, and what was said."""
    recording = StereoRecording(path, writer)
    sound = noise(round(sec * SAMPLE_RATE_HZ))
    place_frames(recording, sound)
    settle(writer)
    directory = path.parent.with_name("after the crash")
    shutil.copytree(path.parent, directory)
    recording.finish(len(sound)).result()
    return directory, sound


@pytest.mark.parametrize("extra", [b"", b"\x07", b"\x07" * 3, b"\x07" * 4_001])
@pytest.mark.parametrize("promised", [0, 8_000, 0xFFFF_FFFF])
def test_a_recording_cut_off_anywhere_is_repaired(
    path: Path, writer: RecordingWriter, extra: bytes, promised: int
) -> None:
    directory, sound = killed(path, writer)
    part = directory / "call.part.wav"
    content = part.read_bytes() + extra  # sound was written, the header not yet, and half a sample
    part.write_bytes(content[:40] + struct.pack("<I", promised) + content[44:])
    os.utime(part, (1_000, 1_000))
    assert repair_recordings(directory) == [directory / "call.wav"]
    assert list(directory.iterdir()) == [directory / "call.wav"]
    sides = read(directory / "call.wav")
    assert len(sides) == (len(content) - 44) // 4
    whole = len(sides) - len(extra) // 4
    assert np.array_equal(sides[:whole, CALLER], to_pcm16(sound[:whole]))
    assert whole > 2 * SAMPLE_RATE_HZ
    assert (directory / "call.wav").stat().st_mtime == 1_000
    assert repair_recordings(directory) == []


@pytest.mark.parametrize("size", [0, 1, 7, 20, 44, 45, 44 + 4 * 4_799 + 3])
def test_next_to_nothing_is_removed(path: Path, writer: RecordingWriter, size: int) -> None:
    directory, _ = killed(path, writer)
    os.truncate(directory / "call.part.wav", size)
    assert repair_recordings(directory) == []
    assert list(directory.iterdir()) == []


def test_a_fifth_of_a_second_is_kept(path: Path, writer: RecordingWriter) -> None:
    directory, _ = killed(path, writer)
    os.truncate(directory / "call.part.wav", 44 + 4 * 4_800)
    assert len(read(repair_recordings(directory)[0])) == 4_800


@pytest.mark.parametrize(
    "content",
    [
        b"A letter in a file with a strange name. " * 50,
        b"RI\x00\x00",
        wav_header(1, 40_000) + bytes(40_000),  # mono: not ours
        b"RIFX" + wav_header(2, 40_000)[4:] + bytes(40_000),
    ],
)
def test_what_is_not_ours_is_left_alone(tmp_path: Path, content: bytes) -> None:
    foreign = tmp_path / "foreign.part.wav"
    foreign.write_bytes(content)
    assert repair_recordings(tmp_path) == []
    assert foreign.read_bytes() == content
    assert list(tmp_path.iterdir()) == [foreign]


def test_other_names_folders_links_and_finished_recordings_are_left_alone(
    path: Path, writer: RecordingWriter
) -> None:
    directory, _ = killed(path, writer)
    part = directory / "call.part.wav"
    (directory / "call.wav").write_text("already here")
    (directory / "folder.part.wav").mkdir()
    (directory / "link.part.wav").symlink_to(part)
    (directory / "notes.txt").write_text("mine")
    names = sorted(directory.iterdir())
    content = part.read_bytes()
    assert repair_recordings(directory) == []
    assert sorted(directory.iterdir()) == names
    assert part.read_bytes() == content
    assert (directory / "call.wav").read_text() == "already here"


def test_one_that_cannot_be_repaired_does_not_keep_the_others_from_it(
    path: Path, writer: RecordingWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, _ = killed(path, writer)
    shutil.copy(directory / "call.part.wav", directory / "a.part.wav")
    utime = os.utime

    def refuse(path: Path, ns: tuple[int, int]) -> None:
        if path.name == "a.part.wav":
            raise PermissionError(errno.EACCES, "no")
        utime(path, ns=ns)

    monkeypatch.setattr("personaplex_ui.audio.recording.file.os.utime", refuse)
    assert repair_recordings(directory) == [directory / "call.wav"]


def test_a_directory_that_is_missing_needs_no_repair(tmp_path: Path) -> None:
    assert repair_recordings(tmp_path / "gone") == []


# What a disk does --------------------------------------------------------------------------------------


class SmallDisk(FileIO):
    """A file on a disk with room for ``ROOM`` bytes; as a real one it writes what fits, then refuses."""

    ROOM = 44 + 4 * 30_000 + 2

    def write(self, b: bytes | memoryview, /) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        room = self.ROOM - self.tell()
        if room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(bytes(b)[:room])


def on_small_disk(path: Path) -> FileIO:
    path.parent.mkdir(exist_ok=True)
    return SmallDisk(path, "x")


def test_a_full_disk_ends_the_recording_with_a_note_and_keeps_what_was_written(path: Path) -> None:
    writer = RecordingWriter(on_small_disk)
    recording = StereoRecording(path, writer)
    sound = noise(4 * SAMPLE_RATE_HZ)
    place_frames(recording, sound)
    settle(writer)
    assert isinstance(recording.failed, RecordingFailed)
    assert "disk is full" in str(recording.failed)
    assert "0:01" in str(recording.failed)
    place_frames(recording, sound, len(sound))  # nobody in the call has to know
    sides = finished(recording, 8 * SAMPLE_RATE_HZ)
    assert SAMPLE_RATE_HZ <= len(sides) <= 30_000
    assert np.array_equal(sides[:, CALLER], to_pcm16(sound[: len(sides)]))
    assert np.array_equal(sides[:, ASSISTANT], to_pcm16(-sound[: len(sides)]))
    writer.close()


def test_a_disk_that_is_full_from_the_start(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SmallDisk, "ROOM", 0)
    writer = RecordingWriter(on_small_disk)
    recording = StereoRecording(path, writer)
    place_frames(recording, noise(48_000))
    settle(writer)
    assert "0:00: the disk is full" in str(recording.failed)
    assert recording.finish(48_000).result() is None
    assert list(path.parent.iterdir()) == []
    writer.close()


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.EACCES, "may not write"), (errno.EROFS, "may not write"), (errno.EIO, "cannot be written")],
)
def test_a_file_that_cannot_be_made(path: Path, number: int, words: str) -> None:
    def refuse(_: Path) -> FileIO:
        raise OSError(number, os.strerror(number))

    writer = RecordingWriter(refuse)
    recording = StereoRecording(path, writer)
    place_frames(recording, noise(48_000))
    settle(writer)
    assert words in str(recording.failed)
    assert recording.finish(48_000).result() is None
    writer.close()


def test_a_folder_that_cannot_be_made(tmp_path: Path, writer: RecordingWriter) -> None:
    (tmp_path / "file").write_text("in the way")
    recording = StereoRecording(tmp_path / "file" / "call.wav", writer)
    settle(writer)
    assert "cannot be written" in str(recording.failed)
    assert recording.finish(48_000).result() is None


def test_a_folder_that_is_removed_during_the_call(
    recording: StereoRecording, path: Path, writer: RecordingWriter
) -> None:
    place_frames(recording, noise(48_000))
    settle(writer)
    shutil.rmtree(path.parent)
    place_frames(recording, noise(48_000), 48_000)
    assert recording.finish(96_000).result() is None
    assert "folder is gone" in str(recording.failed)


def test_no_other_file_is_overwritten(path: Path, writer: RecordingWriter) -> None:
    path.parent.mkdir()
    part_path(path).write_text("another's")
    recording = StereoRecording(path, writer)
    place_frames(recording, noise(48_000))
    assert recording.finish(48_000).result() is None
    assert recording.failed is not None
    assert part_path(path).read_text() == "another's"


def test_a_disk_that_hangs_never_holds_up_the_call(path: Path) -> None:
    gate = Gate()
    writer = RecordingWriter(gate)
    recording = StereoRecording(path, writer)
    sound = noise(15 * SAMPLE_RATE_HZ)
    place_frames(recording, sound[: 10 * SAMPLE_RATE_HZ])
    assert recording.failed is None  # ten seconds may wait
    place_frames(recording, sound[10 * SAMPLE_RATE_HZ :], 10 * SAMPLE_RATE_HZ)
    assert "too slow" in str(recording.failed)
    end = recording.finish(len(sound))
    assert not end.done()
    gate.open.set()  # the disk comes back: what had been handed over is kept
    assert end.result() == path
    sides = read(path)
    assert 9.5 <= len(sides) / SAMPLE_RATE_HZ <= 10.0
    assert f"0:{len(sides) // SAMPLE_RATE_HZ:02}:" in str(recording.failed)
    assert np.array_equal(sides[:, CALLER], to_pcm16(sound[: len(sides)]))
    writer.close()


def test_hours_on_a_slow_disk_that_keeps_up_are_no_backlog(
    recording: StereoRecording, writer: RecordingWriter
) -> None:
    for minute in range(3):
        for second in range(60):
            place_frames(recording, noise(SAMPLE_RATE_HZ // 2), (60 * minute + second) * SAMPLE_RATE_HZ)
            if second % 5 == 0:
                settle(writer)
    assert recording.failed is None
    assert len(finished(recording, 180 * SAMPLE_RATE_HZ)) == 180 * SAMPLE_RATE_HZ


def test_a_recording_ends_before_it_grows_past_what_a_wav_can_say(
    path: Path, writer: RecordingWriter
) -> None:
    recording = StereoRecording(path, writer, longest_bytes=4 * 50_000)
    sound = noise(100_000)
    place_frames(recording, sound)
    assert "0:02: it has reached the 4 GiB" in str(recording.failed)
    sides = finished(recording, 100_000)
    assert np.array_equal(sides[:, CALLER], to_pcm16(sound[:50_000]))


def test_a_day_of_silence_ends_before_4_gib(recording: StereoRecording, path: Path) -> None:
    day = 24 * 3_600 * SAMPLE_RATE_HZ
    place_frames(recording, noise(FRAME_SAMPLES), day)
    assert "4 GiB" in str(recording.failed)
    assert recording.finish(day).result() == path
    with wave.open(str(path)) as wav:
        assert wav.getnframes() * 4 + 44 == path.stat().st_size < 2**32
    path.unlink()
