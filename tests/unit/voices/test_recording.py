"""Recorded voices: what is refused, and in which form the others are encoded."""

import warnings
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import soundfile

from personaplex_ui.audio.frames import FRAME_SAMPLES, SAMPLE_RATE_HZ, Samples
from personaplex_ui.errors import InvalidInput
from personaplex_ui.voices.recording import check_voice_recording, prepare_recording, read_voice_recording
from tests.support.voice_recordings import RECORDING, speech


@pytest.mark.parametrize(
    ("samples", "told"),
    [
        (speech(2.9), "needs 3 to 30 seconds of speech; this recording has 2.9. Record more"),
        (speech(30.1), "this recording has 30.1. Cut it shorter"),
        (np.zeros(0, dtype=np.float32), "this recording has 0.0. Record more"),
        (np.zeros(96_000, dtype=np.float32), "is too quiet: -100 dB at its loudest"),
        (speech(5, 0.003), "is too quiet: "),
        (np.clip(speech(5, 3.0), -1.0, 1.0), "is clipped: its loudest parts are distorted"),
        (np.concatenate([speech(2), np.zeros(96_000, np.float32)]), "is mostly silence: 67% of it"),
    ],
)
def test_a_recording_that_cannot_be_used(samples: Samples, told: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_voice_recording(samples)
    assert caught.value.field == "voice_file"
    assert told in str(caught.value)


@pytest.mark.parametrize(
    "samples",
    [
        speech(3),
        speech(30),
        speech(5, 0.02),
        np.concatenate([speech(3), np.zeros(48_000, np.float32)]),
        np.where(np.arange(120_000) % 2_000 == 0, 1.0, speech(5)).astype(
            np.float32
        ),  # clicks are no clipping
    ],
)
def test_a_recording_that_can_be_used(samples: Samples) -> None:
    check_voice_recording(samples)


def test_a_recording_is_prepared_as_the_reference_does() -> None:
    sound, rate = soundfile.read(RECORDING)
    loudness = pyloudnorm.Meter(rate).integrated_loudness(sound)
    expected = pyloudnorm.normalize.loudness(sound, loudness, -24.0)
    prepared = read_voice_recording(RECORDING)
    assert prepared.dtype == np.float32
    assert len(prepared) == -(-len(sound) // FRAME_SAMPLES) * FRAME_SAMPLES
    assert np.array_equal(prepared[: len(sound)], expected.astype(np.float32))
    assert not prepared[len(sound) :].any()


def test_a_quiet_recording_is_made_louder_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prepared = prepare_recording(speech(4, 0.02))
    assert pyloudnorm.Meter(SAMPLE_RATE_HZ).integrated_loudness(prepared.astype(float)) == pytest.approx(
        -24, abs=0.3
    )


def test_a_file_that_is_no_sound(tmp_path: Path) -> None:
    (tmp_path / "voice.wav").write_bytes(b"no sound")
    with pytest.raises(InvalidInput, match="cannot be read as audio") as caught:
        read_voice_recording(tmp_path / "voice.wav")
    assert caught.value.field == "voice_file"
