"""At every sample rate the model hears what NVIDIA's reference hears: what ``sphn.resample`` makes of it."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from personaplex_ui.audio.files.clip_file import decode_clip, read_clip
from personaplex_ui.audio.files.resample import ClipResampler
from personaplex_ui.audio.frames import Samples
from personaplex_ui.voices.recording import prepare_recording, read_voice_recording
from tests.support.field_sounds import SPEECH, SPEECH_SEC
from tests.support.reference_audio import read_by_reference, resampled_by_reference

RATES_HZ = [8_000, 16_000, 22_050, 44_100, 48_000]
OTHER_RATES_HZ = [4_000, 11_025, 12_000, 24_000, 32_000, 37_800, 44_056, 44_101, 88_200, 96_000, 192_000]


def at_rate(path: Path, rate_hz: int, subtype: str = "PCM_16", gain: float = 1.0) -> Path:
    sound: Samples = soxr.resample(SPEECH * np.float32(gain), 24_000, rate_hz)  # pyright: ignore[reportUnknownVariableType]
    soundfile.write(path, sound, rate_hz, subtype=subtype)  # pyright: ignore[reportUnknownMemberType]
    return path


@pytest.mark.parametrize("rate_hz", [*RATES_HZ, *OTHER_RATES_HZ])
def test_what_is_heard_equals_the_reference_bit_for_bit(tmp_path: Path, rate_hz: int) -> None:
    path = at_rate(tmp_path / "a.wav", rate_hz)
    assert np.array_equal(read_clip(path, 60.0), read_by_reference(path))
    assert decode_clip(path, 60.0).length_sec == pytest.approx(SPEECH_SEC, abs=1e-3)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "PCM_32", "FLOAT"])
@pytest.mark.parametrize("gain", [1.0, 4.0])
def test_with_other_samples_and_beyond_full_scale(tmp_path: Path, subtype: str, gain: float) -> None:
    path = at_rate(tmp_path / "a.wav", 44_100, subtype, gain)
    assert np.array_equal(read_clip(path, 60.0), read_by_reference(path))


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_a_recorded_voice(tmp_path: Path, rate_hz: int) -> None:
    path = at_rate(tmp_path / "a.wav", rate_hz)
    assert np.array_equal(read_voice_recording(path), prepare_recording(read_by_reference(path)))


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("limit_sec", [SPEECH_SEC, 5.25])
def test_exactly_as_long_as_allowed(tmp_path: Path, rate_hz: int, limit_sec: float) -> None:
    """The block of silence that resampling adds counts for nothing."""
    path = at_rate(tmp_path / "a.wav", rate_hz)
    clip = decode_clip(path, limit_sec)
    assert clip.length_sec == pytest.approx(limit_sec, abs=1e-3)
    heard = read_by_reference(path)[: len(clip.samples)]
    assert np.array_equal(clip.samples[:120_000], heard[:120_000])


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 44_100, 44_101, 48_000])
def test_pieces_of_any_size_equal_the_whole(rate_hz: int) -> None:
    random = np.random.default_rng(rate_hz)
    sound = random.normal(0, 0.3, 300_000).astype(np.float32)
    whole = resampled_by_reference(sound, rate_hz)
    for most in (1, 3_000, 100_000, 300_000):
        resampler = ClipResampler(rate_hz)
        cuts = np.sort(random.integers(0, len(sound), 40)) if most == 1 else range(most, len(sound), most)
        parts = [resampler.push(piece) for piece in np.split(sound, cuts)]
        assert np.array_equal(np.concatenate([*parts, resampler.flush()]), whole)


def test_whole_blocks_and_no_sound_at_all() -> None:
    for samples in (0, 1, 1_023, 1_024, 65_536, 131_072):
        sound = np.random.default_rng(samples).normal(0, 0.3, samples).astype(np.float32)
        resampler = ClipResampler(48_000)
        heard = np.concatenate([resampler.push(sound), resampler.flush(), resampler.flush()])
        assert len(heard) == -(-samples // 1_024) * 512
