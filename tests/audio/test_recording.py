import errno
import os
import shutil
import stat
import struct
import threading
import wave
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from personaplex_ui.audio.clip_file import to_pcm16, wav_header
from personaplex_ui.audio.frames import FRAME_SAMPLES, SAMPLE_RATE_HZ, Samples
from personaplex_ui.audio.recording import (
    JITTER_SAMPLES,
    LEAD_SAMPLES,
    RecordingWriter,
    StereoRecording,
)
from personaplex_ui.audio.recording_file import create_file, part_path, repair_recordings
from personaplex_ui.errors import RecordingFailed

Sides = npt.NDArray[np.int16]
"""A recording's sound, shape ``[n, 2]``: caller, assistant."""

CALLER, ASSISTANT = 0, 1


@pytest.fixture
def writer() -> Iterator[RecordingWriter]:
    writer = RecordingWriter()
    yield writer
    writer.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "recordings" / "call.wav"


def noise(length: int, seed: int = 0) -> Samples:
    """Loud sound in which no two places look alike."""
    sound = np.random.default_rng(seed).uniform(0.1, 1.0, length)
    return sound.astype(np.float32)


def settle(writer: RecordingWriter) -> None:
    """Wait until the disk has everything that was handed over."""
    writer.submit(lambda: None).result()


def read(path: Path) -> Sides:
    with wave.open(str(path)) as wav:
        assert (wav.getnchannels(), wav.getsampwidth(), wav.getframerate()) == (2, 2, SAMPLE_RATE_HZ)
        sound = wav.readframes(wav.getnframes())
        assert len(sound) == wav.getnframes() * 4
    assert path.stat().st_size == 44 + len(sound)
    return np.frombuffer(sound, "<i2").reshape(-1, 2)


def finished(recording: StereoRecording, duration_samples: int) -> Sides:
    assert recording.finish(duration_samples).result() == recording.path
    assert not part_path(recording.path).exists()
    return read(recording.path)


def place_frames(recording: StereoRecording, sound: Samples, first_sample: int = 0) -> None:
    """Place ``sound`` on both sides, frame by frame, on time."""
    for start in range(0, len(sound), FRAME_SAMPLES):
        frame = sound[start : start + FRAME_SAMPLES]
        end = first_sample + start + len(frame)
        recording.place_caller(frame, end)
        recording.place_assistant(-frame, end)


# Where sound goes --------------------------------------------------------------------------------------


def test_both_sides_are_aligned_to_the_sample(path: Path, writer: RecordingWriter) -> None:
    recording = StereoRecording(path, writer)
    caller, assistant = noise(100_000, 1), noise(100_000, 2)
    for start in range(0, 100_000, 480):
        recording.place_caller(caller[start : start + 480], min(start + 480, 100_000))
        if start % FRAME_SAMPLES == 0:
            frame = assistant[start : start + FRAME_SAMPLES]
            recording.place_assistant(frame, start + len(frame))
    sides = finished(recording, 100_000)
    assert np.array_equal(sides[:, CALLER], to_pcm16(caller))
    assert np.array_equal(sides[:, ASSISTANT], to_pcm16(assistant))
    assert recording.failed is None


@pytest.mark.parametrize("seed", range(8))
def test_ragged_chunks_with_gaps_land_where_the_clock_says(
    path: Path, writer: RecordingWriter, seed: int
) -> None:
    """Gaps from just over the tolerance to 5 s, on either side, none the same."""
    rng = np.random.default_rng(seed)
    duration = 30 * SAMPLE_RATE_HZ
    wanted = np.zeros((duration, 2), dtype=np.int16)
    chunks: list[tuple[int, int, Samples]] = []
    for side in (CALLER, ASSISTANT):
        at = 0
        while True:
            if rng.random() < 0.05:
                at += int(rng.integers(JITTER_SAMPLES + 1, 5 * SAMPLE_RATE_HZ))
            sound = noise(int(rng.integers(1, 3_000)), int(rng.integers(1 << 30)))
            if at + len(sound) > duration:
                break
            wanted[at : at + len(sound), side] = to_pcm16(sound)
            at += len(sound)
            chunks.append((at, side, sound))
    recording = StereoRecording(path, writer)
    for end, side, sound in sorted(chunks, key=lambda chunk: chunk[0]):
        (recording.place_caller if side == CALLER else recording.place_assistant)(sound, end)
        writer.submit(lambda: None).result()  # 30 s at once is more than may wait for a busy disk
    assert np.array_equal(finished(recording, duration), wanted)


def test_jitter_cuts_no_sound_and_adds_none(path: Path, writer: RecordingWriter) -> None:
    rng = np.random.default_rng(3)
    recording = StereoRecording(path, writer)
    sound = noise(50 * FRAME_SAMPLES)
    for start in range(0, len(sound), FRAME_SAMPLES):
        late = int(rng.integers(-JITTER_SAMPLES, JITTER_SAMPLES + 1))
        recording.place_caller(sound[start : start + FRAME_SAMPLES], start + FRAME_SAMPLES + late)
    assert np.array_equal(finished(recording, len(sound))[:, CALLER], to_pcm16(sound))


@pytest.mark.parametrize(("late", "silence"), [(JITTER_SAMPLES, 0), (JITTER_SAMPLES + 1, JITTER_SAMPLES + 1)])
def test_a_gap_is_filled_only_beyond_the_tolerance(
    path: Path, writer: RecordingWriter, late: int, silence: int
) -> None:
    recording = StereoRecording(path, writer)
    sound = noise(2 * SAMPLE_RATE_HZ)
    first, second = np.split(sound, 2)
    recording.place_assistant(first, SAMPLE_RATE_HZ)
    recording.place_assistant(second, 2 * SAMPLE_RATE_HZ + late)
    wanted = np.concatenate([to_pcm16(first), np.zeros(silence, dtype=np.int16), to_pcm16(second)])
    assert np.array_equal(finished(recording, len(wanted))[:, ASSISTANT], wanted)


def test_a_burst_after_a_stall_goes_on_where_it_came_until_half_a_second_ahead(
    path: Path, writer: RecordingWriter
) -> None:
    recording = StereoRecording(path, writer)
    sound = noise(3 * SAMPLE_RATE_HZ)
    now = 3 * SAMPLE_RATE_HZ
    for start in range(0, len(sound), 480):  # 3 s that all come now
        recording.place_caller(sound[start : start + 480], now)
    side = finished(recording, now + SAMPLE_RATE_HZ)[:, CALLER]
    kept = 480 + LEAD_SAMPLES
    assert not side[: now - 480].any()
    assert np.array_equal(side[now - 480 : now - 480 + kept], to_pcm16(sound[:kept]))
    assert not side[now - 480 + kept :].any()


def test_a_track_that_is_ahead_comes_back_to_the_clock_when_it_is_quiet(
    path: Path, writer: RecordingWriter
) -> None:
    recording = StereoRecording(path, writer)
    burst = noise(4_800)
    recording.place_caller(burst, 480)  # 4,320 samples ahead
    for end in range(960, 9_601, 480):
        recording.place_caller(np.full(480, 0.001, dtype=np.float32), end)
    word = noise(480, 5)
    recording.place_caller(word, 10_080)
    side = finished(recording, 24_000)[:, CALLER]
    assert np.array_equal(side[:4_800], to_pcm16(burst))
    start = 9_600 + JITTER_SAMPLES
    assert np.array_equal(side[start : start + 480], to_pcm16(word))


def test_a_side_that_says_nothing_does_not_hold_the_other_back(path: Path, writer: RecordingWriter) -> None:
    recording = StereoRecording(path, writer)
    sound = noise(10 * SAMPLE_RATE_HZ)
    for start in range(0, len(sound), 480):
        recording.place_caller(sound[start : start + 480], start + 480)
    settle(writer)
    so_far = read(part_path(path))
    assert 7.4 <= len(so_far) / SAMPLE_RATE_HZ <= 8.0  # all but the newest 2 s and a batch
    assert np.array_equal(so_far[:, CALLER], to_pcm16(sound[: len(so_far)]))
    late = noise(FRAME_SAMPLES, 7)
    recording.place_assistant(late, len(sound))  # and when it speaks at last, it is in its place
    sides = finished(recording, len(sound))
    assert np.array_equal(sides[:, CALLER], to_pcm16(sound))
    assert not sides[:-FRAME_SAMPLES, ASSISTANT].any()
    assert np.array_equal(sides[-FRAME_SAMPLES:, ASSISTANT], to_pcm16(late))


def test_sound_for_a_time_already_written_neither_overwrites_nor_shifts_what_follows(
    path: Path, writer: RecordingWriter
) -> None:
    recording = StereoRecording(path, writer)
    caller = noise(10 * SAMPLE_RATE_HZ)
    for start in range(0, len(caller), 480):
        recording.place_caller(caller[start : start + 480], start + 480)
    recording.place_assistant(noise(FRAME_SAMPLES), SAMPLE_RATE_HZ)  # nine seconds late
    word = noise(FRAME_SAMPLES, 8)
    recording.place_assistant(word, len(caller))
    sides = finished(recording, len(caller))
    assert np.array_equal(sides[:, CALLER], to_pcm16(caller))
    assert not sides[:-FRAME_SAMPLES, ASSISTANT].any()
    assert np.array_equal(sides[-FRAME_SAMPLES:, ASSISTANT], to_pcm16(word))


def test_hours_without_sound_take_no_memory_and_no_room(path: Path, writer: RecordingWriter) -> None:
    recording = StereoRecording(path, writer)
    sound = noise(SAMPLE_RATE_HZ)
    place_frames(recording, sound)
    three_hours = 3 * 3_600 * SAMPLE_RATE_HZ
    place_frames(recording, sound, three_hours)
    assert recording.finish(three_hours + 2 * SAMPLE_RATE_HZ).result() == path
    assert recording.failed is None
    assert path.stat().st_size == 44 + 4 * (three_hours + 2 * SAMPLE_RATE_HZ)
    assert path.stat().st_blocks * 512 < 2_000_000
    with wave.open(str(path)) as wav:
        wav.setpos(three_hours)
        tail = np.frombuffer(wav.readframes(SAMPLE_RATE_HZ), "<i2").reshape(-1, 2)
    assert np.array_equal(tail[:, CALLER], to_pcm16(sound))
    assert np.array_equal(tail[:, ASSISTANT], to_pcm16(-sound))


@pytest.mark.parametrize("duration", [4_800, 24_000, 48_000, 60_000, 1_000_000])
def test_the_length_is_what_finish_says(path: Path, writer: RecordingWriter, duration: int) -> None:
    recording = StereoRecording(path, writer)
    sound = noise(60_000)
    place_frames(recording, sound)
    sides = finished(recording, duration)
    assert len(sides) == duration
    assert np.array_equal(sides[:60_000, CALLER], to_pcm16(sound[:duration]))
    assert not sides[60_000:].any()


def test_less_than_a_fifth_of_a_second_is_not_kept(path: Path, writer: RecordingWriter) -> None:
    recording = StereoRecording(path, writer)
    place_frames(recording, noise(48_000))
    assert recording.finish(4_799).result() is None
    assert list(path.parent.iterdir()) == []
    assert recording.failed is None


def test_what_comes_after_the_end_is_ignored(path: Path, writer: RecordingWriter) -> None:
    recording = StereoRecording(path, writer)
    place_frames(recording, noise(48_000))
    first = recording.finish(48_000)
    place_frames(recording, noise(48_000), 48_000)
    assert recording.finish(96_000) is first
    assert first.result() == path
    assert len(read(path)) == 48_000


def test_empty_chunks_and_sound_that_is_no_number(path: Path, writer: RecordingWriter) -> None:
    recording = StereoRecording(path, writer)
    recording.place_caller(np.zeros(0, dtype=np.float32), 0)
    recording.place_caller(np.full(24_000, np.nan, dtype=np.float32), 24_000)
    recording.place_assistant(np.full(24_000, 7.0, dtype=np.float32), 24_000)
    sides = finished(recording, 24_000)
    assert not sides[:, CALLER].any()
    assert (sides[:, ASSISTANT] == 32_767).all()


# The file ----------------------------------------------------------------------------------------------


def test_only_the_server_may_read_it(path: Path, writer: RecordingWriter) -> None:
    recording = StereoRecording(path, writer)
    place_frames(recording, noise(48_000))
    settle(writer)
    assert stat.S_IMODE(part_path(path).stat().st_mode) == 0o600
    assert finished(recording, 48_000).any()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_file_in_progress_is_a_whole_wav_at_any_time(path: Path, writer: RecordingWriter) -> None:
    recording = StereoRecording(path, writer)
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

    monkeypatch.setattr("personaplex_ui.audio.recording_file.os.utime", refuse)
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


def test_a_folder_that_is_removed_during_the_call(path: Path, writer: RecordingWriter) -> None:
    recording = StereoRecording(path, writer)
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


class Gate:
    """Opens files whose first write waits until ``open`` is set."""

    def __init__(self) -> None:
        self.open = threading.Event()

    def __call__(self, path: Path) -> FileIO:
        self.open.wait()
        return create_file(path)


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


def test_hours_on_a_slow_disk_that_keeps_up_are_no_backlog(path: Path, writer: RecordingWriter) -> None:
    recording = StereoRecording(path, writer)
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


def test_a_day_of_silence_ends_before_4_gib(path: Path, writer: RecordingWriter) -> None:
    recording = StereoRecording(path, writer)
    day = 24 * 3_600 * SAMPLE_RATE_HZ
    place_frames(recording, noise(FRAME_SAMPLES), day)
    assert "4 GiB" in str(recording.failed)
    assert recording.finish(day).result() == path
    with wave.open(str(path)) as wav:
        assert wav.getnframes() * 4 + 44 == path.stat().st_size < 2**32
    path.unlink()


# The writer --------------------------------------------------------------------------------------------


def test_recordings_share_a_writer_and_do_not_mix(tmp_path: Path, writer: RecordingWriter) -> None:
    recordings = [StereoRecording(tmp_path / f"{n}.wav", writer) for n in range(4)]
    sounds = [noise(96_000, n) for n in range(4)]
    for start in range(0, 96_000, FRAME_SAMPLES):
        for recording, sound in zip(recordings, sounds, strict=True):
            place_frames(recording, sound[start : start + FRAME_SAMPLES], start)
    for recording, sound in zip(recordings, sounds, strict=True):
        assert np.array_equal(finished(recording, 96_000)[:, CALLER], to_pcm16(sound))


def test_closing_writes_what_is_queued_and_finishes_what_is_in_progress(path: Path) -> None:
    writer = RecordingWriter()
    recording = StereoRecording(path, writer)
    sound = noise(96_000)
    place_frames(recording, sound)
    writer.close()
    writer.close()
    sides = read(path)
    assert len(sides) >= 96_000 - 12_000
    assert np.array_equal(sides[:, CALLER], to_pcm16(sound[: len(sides)]))
    place_frames(recording, sound, 96_000)  # nobody in the call has to know
    assert "shutting down" in str(recording.failed)
    assert recording.finish(192_000).result() is None


def test_a_recording_that_begins_after_the_close(path: Path) -> None:
    writer = RecordingWriter()
    writer.close()
    recording = StereoRecording(path, writer)
    place_frames(recording, noise(96_000))
    assert "shutting down" in str(recording.failed)
    assert recording.finish(96_000).result() is None
    assert not path.parent.exists()


def test_closing_does_not_wait_for_ever_for_a_disk_that_hangs(path: Path) -> None:
    gate = Gate()
    writer = RecordingWriter(gate)
    recording = StereoRecording(path, writer)
    place_frames(recording, noise(48_000))
    end = recording.finish(48_000)
    writer.close(timeout_sec=0.01)
    assert not end.done()
    gate.open.set()
    assert end.result() == path
    writer.close()


def test_waiting_for_the_end_may_be_given_up_but_the_file_is_finished(path: Path) -> None:
    gate = Gate()
    writer = RecordingWriter(gate)
    recording = StereoRecording(path, writer)
    place_frames(recording, noise(48_000))
    end = recording.finish(48_000)
    assert not end.cancel()  # asyncio.wrap_future passes a cancellation on
    gate.open.set()
    assert end.result() == path
    writer.close()


def test_a_fault_in_one_job_does_not_stop_the_thread(path: Path, writer: RecordingWriter) -> None:
    assert isinstance(writer.submit(lambda: 1 // 0).exception(), ZeroDivisionError)
    recording = StereoRecording(path, writer)
    place_frames(recording, noise(48_000))
    assert len(finished(recording, 48_000)) == 48_000
