"""Channels of opposite phase do not mix to silence; all others are mixed as ever."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from personaplex_ui.audio.files.clip_file import read_clip
from personaplex_ui.audio.frames import Samples
from personaplex_ui.errors import InvalidInput
from personaplex_ui.voices.recording import read_voice_recording
from tests.support.field_sounds import FIELD, SPEECH, encoded

SILENCE: Samples = np.zeros_like(SPEECH)
NOISE: Samples = np.random.default_rng(0).normal(0, 0.05, len(SPEECH)).astype(np.float32)
HALF = len(SPEECH) // 2


def read(path: Path, *channels: npt.NDArray[np.floating], rate_hz: int = 24_000) -> Samples:
    sound = np.stack(channels, axis=1).astype(np.float32)
    soundfile.write(path, sound, rate_hz, subtype="FLOAT")  # pyright: ignore[reportUnknownMemberType]
    return read_clip(path, 60.0)


def power(sound: npt.NDArray[np.floating]) -> float:
    return float(np.mean(np.square(sound, dtype=np.float64)))


@pytest.mark.parametrize("amount", [1.0, 0.95, 0.8, 0.6, 0.51])
def test_opposite_phase_is_heard_at_its_own_level(tmp_path: Path, amount: float) -> None:
    assert np.array_equal(read(tmp_path / "a.wav", SPEECH, -amount * SPEECH), SPEECH)
    assert np.array_equal(read(tmp_path / "b.wav", -0.99 * amount * SPEECH, SPEECH), SPEECH)


def test_of_equal_channels_the_first(tmp_path: Path) -> None:
    assert np.array_equal(read(tmp_path / "a.wav", -SPEECH, SPEECH), -SPEECH)


def test_a_part_of_the_file_is_enough(tmp_path: Path) -> None:
    turned = np.concatenate([SPEECH[:HALF], -SPEECH[HALF:]])
    assert np.array_equal(read(tmp_path / "a.wav", SPEECH, turned), SPEECH)


def test_with_noise_in_each_microphone(tmp_path: Path) -> None:
    sound = read(tmp_path / "a.wav", SPEECH + 0.05 * NOISE, -SPEECH + 0.05 * np.roll(NOISE, 999))
    assert power(sound) == pytest.approx(power(SPEECH), rel=0.05)


@pytest.mark.parametrize("front", [0.0, 0.2])
def test_5_1_channels(tmp_path: Path, front: float) -> None:
    centre = front * NOISE
    sound = read(tmp_path / "a.wav", SPEECH, -SPEECH, centre, SILENCE, SILENCE, SILENCE)
    assert np.array_equal(sound, SPEECH)


@pytest.mark.parametrize(
    "other",
    [
        SPEECH,
        SILENCE,
        0.5 * SPEECH,
        -0.3 * SPEECH,
        NOISE,
        np.roll(SPEECH, 30),
        np.roll(SPEECH, HALF),
        0.3 * SPEECH + NOISE,
        -0.3 * SPEECH + NOISE,
    ],
    ids=["same", "silent", "half", "slightly opposite", "noise", "later", "another", "wide", "wider"],
)
def test_ordinary_stereo_stays_the_mean(tmp_path: Path, other: Samples) -> None:
    mean = np.stack([SPEECH, other.astype(np.float32)]).mean(axis=0, dtype=np.float64).astype(np.float32)
    assert np.array_equal(read(tmp_path / "a.wav", SPEECH, other), mean)
    assert power(mean) > 0.1 * power(SPEECH)


@pytest.mark.parametrize(("name", "codec"), [("a.m4a", "aac"), ("a.ogg", "libopus"), ("a.ogg", "flac")])
@pytest.mark.parametrize("channels", [1, 2, 6, 8])
def test_as_many_channels_as_codecs_have(tmp_path: Path, name: str, codec: str, channels: int) -> None:
    """With 8 planes PyAV's own reading of a frame ends the process."""
    sound = read_clip(encoded(tmp_path / name, codec, SPEECH, channels=channels), 60.0)
    assert len(sound) == pytest.approx(len(SPEECH), abs=3_000)
    assert power(sound) > 0.01 * power(SPEECH)


def test_an_order_of_channels_that_would_end_the_process(tmp_path: Path) -> None:
    """FFmpeg has no name for the order that AIFF's tag gives these 8; PyAV would free it twice."""
    path = encoded(tmp_path / "a.aiff", "pcm_s16be", SPEECH[:24_000], channels=8)
    for _ in range(5):
        with pytest.raises(InvalidInput, match="Mix it down"):
            read_clip(path, 60.0)


def test_16_channels_in_a_wav(tmp_path: Path) -> None:
    assert np.allclose(read(tmp_path / "a.wav", *[SPEECH] * 16), SPEECH, atol=1e-6)


def test_a_damaged_frame_that_claims_55_channels_is_skipped() -> None:
    sound = read_clip(FIELD / "aac_frame_of_55_channels.aac", 60.0)
    assert 2 * 24_000 < len(sound) < 6 * 24_000


def test_silence_of_opposite_phase_is_silence(tmp_path: Path) -> None:
    assert not read(tmp_path / "a.wav", SILENCE, SILENCE).any()
    faint = 1e-4 * NOISE
    assert np.array_equal(read(tmp_path / "b.wav", faint, -faint), SILENCE)


def test_at_another_rate_and_as_a_voice(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    one = read(tmp_path / "one.wav", SPEECH, rate_hz=48_000)
    assert np.array_equal(read(path, SPEECH, -SPEECH, rate_hz=48_000), one)
    read(path, SPEECH, -SPEECH)
    assert power(read_voice_recording(path)) > 1e-3
