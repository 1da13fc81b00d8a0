import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from personaplex_ui.audio.frames import (
    FRAME_SAMPLES,
    FRAME_SEC,
    FRAMES_PER_SEC,
    SAMPLE_RATE_HZ,
    FrameCutter,
    Samples,
    pad_to_frames,
    silent_frame,
)


def ramp(length: int, start: int = 0) -> Samples:
    """Sound in which every sample tells its own place."""
    return np.arange(start, start + length, dtype=np.float32)


def test_a_frame_is_80_ms() -> None:
    assert FRAME_SEC * SAMPLE_RATE_HZ == FRAME_SAMPLES
    assert FRAMES_PER_SEC * FRAME_SAMPLES == SAMPLE_RATE_HZ
    assert silent_frame().shape == (FRAME_SAMPLES,)
    assert silent_frame().dtype == np.float32
    assert not silent_frame().any()


@given(st.lists(st.integers(0, 5_000), max_size=20))
def test_any_chunks_give_the_same_frames_as_the_whole(sizes: list[int]) -> None:
    sound = ramp(sum(sizes))
    cutter = FrameCutter()
    frames = [frame for chunk in np.split(sound, np.cumsum(sizes)[:-1]) for frame in cutter.cut(chunk)]
    assert all(frame.shape == (FRAME_SAMPLES,) and frame.dtype == np.float32 for frame in frames)
    assert np.array_equal(np.concatenate([*frames, ramp(0)]), sound[: len(frames) * FRAME_SAMPLES])
    assert cutter.pending_samples == len(sound) % FRAME_SAMPLES
    assert len(frames) == len(sound) // FRAME_SAMPLES


@given(st.integers(0, FRAME_SAMPLES - 1), st.integers(0, 5_000), st.lists(st.integers(1, 900), min_size=1))
def test_skipping_drops_what_is_pending_and_so_much_of_what_comes(
    pending: int, skip: int, sizes: list[int]
) -> None:
    cutter = FrameCutter()
    assert cutter.cut(ramp(pending)) == []
    cutter.skip(skip)
    assert cutter.pending_samples == 0
    sound = ramp(sum(sizes), start=pending)
    frames = [frame for chunk in np.split(sound, np.cumsum(sizes)[:-1]) for frame in cutter.cut(chunk)]
    kept = sound[skip:]
    assert np.array_equal(np.concatenate([*frames, ramp(0)]), kept[: len(frames) * FRAME_SAMPLES])
    assert len(frames) * FRAME_SAMPLES + cutter.pending_samples == len(kept)


def test_the_sender_may_reuse_its_buffer() -> None:
    cutter = FrameCutter()
    buffer = ramp(FRAME_SAMPLES + 10)
    (frame,) = cutter.cut(buffer)
    buffer[:] = -1
    (later,) = cutter.cut(ramp(FRAME_SAMPLES - 10, start=FRAME_SAMPLES + 10))
    assert np.array_equal(frame, ramp(FRAME_SAMPLES))
    assert np.array_equal(later, ramp(FRAME_SAMPLES, start=FRAME_SAMPLES))


@pytest.mark.parametrize(("length", "padded"), [(0, 0), (1, 1_920), (1_920, 1_920), (1_921, 3_840)])
def test_padding_fills_the_last_frame_with_silence(length: int, padded: int) -> None:
    sound = np.ones(length, dtype=np.float32)
    result = pad_to_frames(sound)
    assert result.shape == (padded,)
    assert result.dtype == np.float32
    assert result.sum() == length
    assert not result[length:].any()
