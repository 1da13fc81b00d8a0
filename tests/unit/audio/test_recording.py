"""A recording of both sides: where sound goes, and the thread that writes for all calls."""

import wave
from pathlib import Path

import numpy as np
import pytest

from personaplex_ui.audio.files.clip_file import to_pcm16
from personaplex_ui.audio.frames import FRAME_SAMPLES, SAMPLE_RATE_HZ, Samples
from personaplex_ui.audio.recording.file import part_path
from personaplex_ui.audio.recording.recorder import (
    JITTER_SAMPLES,
    LEAD_SAMPLES,
    RecordingWriter,
    StereoRecording,
)
from tests.support.recording_rig import ASSISTANT, CALLER, Gate, finished, noise, place_frames, read, settle

# Where sound goes --------------------------------------------------------------------------------------


def test_both_sides_are_aligned_to_the_sample(recording: StereoRecording) -> None:
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
    recording: StereoRecording, writer: RecordingWriter, seed: int
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
    for end, side, sound in sorted(chunks, key=lambda chunk: chunk[0]):
        (recording.place_caller if side == CALLER else recording.place_assistant)(sound, end)
        writer.submit(lambda: None).result()  # 30 s at once is more than may wait for a busy disk
    assert np.array_equal(finished(recording, duration), wanted)


def test_jitter_cuts_no_sound_and_adds_none(recording: StereoRecording) -> None:
    rng = np.random.default_rng(3)
    sound = noise(50 * FRAME_SAMPLES)
    for start in range(0, len(sound), FRAME_SAMPLES):
        late = int(rng.integers(-JITTER_SAMPLES, JITTER_SAMPLES + 1))
        recording.place_caller(sound[start : start + FRAME_SAMPLES], start + FRAME_SAMPLES + late)
    assert np.array_equal(finished(recording, len(sound))[:, CALLER], to_pcm16(sound))


@pytest.mark.parametrize(("late", "silence"), [(JITTER_SAMPLES, 0), (JITTER_SAMPLES + 1, JITTER_SAMPLES + 1)])
def test_a_gap_is_filled_only_beyond_the_tolerance(
    recording: StereoRecording, late: int, silence: int
) -> None:
    sound = noise(2 * SAMPLE_RATE_HZ)
    first, second = np.split(sound, 2)
    recording.place_assistant(first, SAMPLE_RATE_HZ)
    recording.place_assistant(second, 2 * SAMPLE_RATE_HZ + late)
    wanted = np.concatenate([to_pcm16(first), np.zeros(silence, dtype=np.int16), to_pcm16(second)])
    assert np.array_equal(finished(recording, len(wanted))[:, ASSISTANT], wanted)


def test_a_burst_after_a_stall_goes_on_where_it_came_until_half_a_second_ahead(
    recording: StereoRecording,
) -> None:
    sound = noise(3 * SAMPLE_RATE_HZ)
    now = 3 * SAMPLE_RATE_HZ
    for start in range(0, len(sound), 480):  # 3 s that all come now
        recording.place_caller(sound[start : start + 480], now)
    side = finished(recording, now + SAMPLE_RATE_HZ)[:, CALLER]
    kept = 480 + LEAD_SAMPLES
    assert not side[: now - 480].any()
    assert np.array_equal(side[now - 480 : now - 480 + kept], to_pcm16(sound[:kept]))
    assert not side[now - 480 + kept :].any()


def test_a_track_that_is_ahead_comes_back_to_the_clock_when_it_is_quiet(recording: StereoRecording) -> None:
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


def test_a_side_that_says_nothing_does_not_hold_the_other_back(
    recording: StereoRecording, path: Path, writer: RecordingWriter
) -> None:
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
    recording: StereoRecording,
) -> None:
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


def test_hours_without_sound_take_no_memory_and_no_room(recording: StereoRecording, path: Path) -> None:
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
def test_the_length_is_what_finish_says(recording: StereoRecording, duration: int) -> None:
    sound = noise(60_000)
    place_frames(recording, sound)
    sides = finished(recording, duration)
    assert len(sides) == duration
    assert np.array_equal(sides[:60_000, CALLER], to_pcm16(sound[:duration]))
    assert not sides[60_000:].any()


def test_less_than_a_fifth_of_a_second_is_not_kept(recording: StereoRecording, path: Path) -> None:
    place_frames(recording, noise(48_000))
    assert recording.finish(4_799).result() is None
    assert list(path.parent.iterdir()) == []
    assert recording.failed is None


def test_what_comes_after_the_end_is_ignored(recording: StereoRecording, path: Path) -> None:
    place_frames(recording, noise(48_000))
    first = recording.finish(48_000)
    place_frames(recording, noise(48_000), 48_000)
    assert recording.finish(96_000) is first
    assert first.result() == path
    assert len(read(path)) == 48_000


def test_empty_chunks_and_sound_that_is_no_number(recording: StereoRecording) -> None:
    recording.place_caller(np.zeros(0, dtype=np.float32), 0)
    recording.place_caller(np.full(24_000, np.nan, dtype=np.float32), 24_000)
    recording.place_assistant(np.full(24_000, 7.0, dtype=np.float32), 24_000)
    sides = finished(recording, 24_000)
    assert not sides[:, CALLER].any()
    assert (sides[:, ASSISTANT] == 32_767).all()


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


def test_a_fault_in_one_job_does_not_stop_the_thread(
    recording: StereoRecording, writer: RecordingWriter
) -> None:
    assert isinstance(writer.submit(lambda: 1 // 0).exception(), ZeroDivisionError)
    place_frames(recording, noise(48_000))
    assert len(finished(recording, 48_000)) == 48_000
