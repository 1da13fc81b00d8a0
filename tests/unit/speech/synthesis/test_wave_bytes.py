"""WAV of all kinds that servers send, and what is none."""

import io
import struct

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from personaplex_ui.speech.synthesis.wave_bytes import pcm_sound, wav_sound


def wav(rate_hz: int = 24_000, subtype: str = "PCM_16", channels: int = 1, container: str = "WAV") -> bytes:
    """Half a second of a tone of 300 Hz at half of full scale."""
    tone = 0.5 * np.sin(2 * np.pi * 300 * np.arange(rate_hz // 2) / rate_hz)
    file = io.BytesIO()
    soundfile.write(file, np.column_stack([tone] * channels), rate_hz, subtype=subtype, format=container)
    return file.getvalue()


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 24_000, 44_100, 48_000])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32", "FLOAT"])
@pytest.mark.parametrize("channels", [1, 2])
def test_all_usual_kinds(rate_hz: int, subtype: str, channels: int) -> None:
    sound = wav_sound(wav(rate_hz, subtype, channels))
    assert sound.dtype == np.float32
    assert len(sound) == pytest.approx(12_000, abs=100)
    spectrum = np.abs(np.fft.rfft(sound[:12_000], 12_000))
    assert int(np.argmax(spectrum)) * 2 == 300
    assert float(np.sqrt(np.mean(sound**2))) == pytest.approx(0.5 / 2**0.5, rel=0.02)


def test_the_extensible_header() -> None:
    assert np.array_equal(wav_sound(wav(container="WAVEX")), wav_sound(wav()))


@pytest.mark.parametrize("length", [0, 0x7FFFFFFF, 0xFFFFFFFF, 0x7FFFFFFF - 36])
def test_a_streamed_file_does_not_know_its_length(length: int) -> None:
    content = bytearray(wav())
    at = content.index(b"data") + 4
    content[at : at + 4] = struct.pack("<I", length)
    assert np.array_equal(wav_sound(bytes(content)), wav_sound(wav()))


def test_other_chunks_are_skipped() -> None:
    content = wav()
    extra = b"LIST" + struct.pack("<I", 5) + b"hello\0"
    assert np.array_equal(wav_sound(content[:12] + extra + content[12:]), wav_sound(content))


def _with(at: int, value: int, kind: str = "<H") -> bytes:
    content = bytearray(wav())
    struct.pack_into(kind, content, at, value)
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "not a WAV file"),
        (b"ID3\x04 mp3", "not a WAV file"),
        (b"RIFF\0\0\0\0WAVE", "no sound"),
        (wav()[:30], "cut off"),
        (wav()[:5_000], "cut off"),
        (_with(20, 6), "kind 6 with 16 bits"),
        (_with(22, 0), "0 channels"),
        (_with(22, 900), "900 channels"),
        (_with(24, 0, "<I"), "0 Hz"),
        (_with(24, 4_000_000_000, "<I"), "4000000000 Hz"),
        (b"RIFF\0\0\0\0WAVE" + b"junk\0\0\0\0" * 500 + wav()[12:], "no sound"),
        (b"RIFF\0\0\0\0WAVE" + wav()[wav().index(b"data") :], "kind 0"),
    ],
)
def test_what_is_no_usable_wav(content: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        wav_sound(content)


@given(st.binary(max_size=200), st.integers(0, 60))
def test_damage_is_told_or_harmless(noise: bytes, at: int) -> None:
    content = wav(8_000)
    try:
        sound = wav_sound(content[:at] + noise + content[at + len(noise) :])
    except ValueError:
        return
    assert np.isfinite(sound).all()


def test_numbers_that_are_none_become_silence() -> None:
    content = bytearray(wav(subtype="FLOAT"))
    content[-8:] = struct.pack("<ff", float("nan"), float("inf"))
    assert np.isfinite(wav_sound(bytes(content))).all()


def test_bare_samples() -> None:
    assert pcm_sound(struct.pack("<hhh", 0, 16_384, -32_768) + b"\1").tolist() == [0.0, 0.5, -1.0]
