"""What a WAV's header promises is believed only where it can be true."""

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.support.field_sounds import (
    FIELD,
    SPEECH,
    SPEECH_SEC,
    chunk,
    fmt,
    length_sec,
    pcm16,
    refusal,
    riff,
    write,
)

SOUND = pcm16(SPEECH)


def test_the_file_that_promises_2e9_bytes() -> None:
    assert length_sec(FIELD / "wav_promises_2e9.wav") == pytest.approx(SPEECH_SEC)


@pytest.mark.parametrize(
    "promised",
    [
        0,
        100_000_000,
        500_000_000,
        2_000_000_000,
        0x7FFF_F000,
        0x7FFF_FFFF,
        0x8000_0000,
        0xFFFF_FFFE,
        0xFFFF_FFFF,
    ],
)
@pytest.mark.parametrize("riff_size", [None, 0, 36, 2_000_000_036, 0xFFFF_FFFF])
def test_a_program_that_could_not_know_the_length(
    tmp_path: Path, promised: int, riff_size: int | None
) -> None:
    content = riff(chunk(b"fmt ", fmt()), chunk(b"data", SOUND, size=promised), size=riff_size)
    assert length_sec(write(tmp_path / "a.wav", content)) == pytest.approx(SPEECH_SEC)


@pytest.mark.parametrize("form", [b"RF64", b"BW64"])
@pytest.mark.parametrize("promised", [len(SOUND), 0, 2_000_000_000, 2**40, 2**64 - 1])
def test_64_bit_lengths(tmp_path: Path, form: bytes, promised: int) -> None:
    sizes = struct.pack("<QQQI", 0xFFFF_FFFF, promised, promised // 2, 0)
    content = riff(
        chunk(b"ds64", sizes),
        chunk(b"fmt ", fmt()),
        chunk(b"data", SOUND, size=0xFFFF_FFFF),
        form=form,
        size=0xFFFF_FFFF,
    )
    assert length_sec(write(tmp_path / "a.wav", content)) == pytest.approx(SPEECH_SEC)


@pytest.mark.parametrize("format_", ["W64", "RF64", "AIFF", "AU", "CAF", "WAVEX", "WAV"])
def test_other_kinds_are_read_and_those_cut_short_are_told(tmp_path: Path, format_: str) -> None:
    path = tmp_path / "a.bin"
    soundfile.write(path, SPEECH, 24_000, format=format_, subtype="PCM_16")  # pyright: ignore[reportUnknownMemberType]
    assert length_sec(path) == pytest.approx(SPEECH_SEC)
    content = path.read_bytes()
    assert "cut short" in refusal(write(path, content[: len(content) * 6 // 10]))


@pytest.mark.parametrize(
    "subtype", ["PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAW", "ULAW", "IMA_ADPCM", "MS_ADPCM"]
)
def test_all_kinds_of_samples_with_a_length_that_is_a_lie(tmp_path: Path, subtype: str) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, SPEECH, 24_000, subtype=subtype)  # pyright: ignore[reportUnknownMemberType]
    content = bytearray(path.read_bytes())
    at = content.find(b"data")
    content[at + 4 : at + 8] = struct.pack("<I", 2_000_000_000)
    content[4:8] = struct.pack("<I", 2_000_000_000)
    assert length_sec(write(path, bytes(content))) == pytest.approx(SPEECH_SEC, abs=0.1)


@pytest.mark.parametrize(("format_", "name"), [("W64", b"fmt \xf3\xac"), ("CAF", b"desc")])
@pytest.mark.parametrize("size", [2**63 - 1, 2**63 + 7, 2**64 - 1])
def test_a_chunk_of_an_impossible_size_ends_in_a_sentence(
    tmp_path: Path, format_: str, name: bytes, size: int
) -> None:
    path = tmp_path / "a.bin"
    soundfile.write(path, SPEECH, 24_000, format=format_, subtype="PCM_16")  # pyright: ignore[reportUnknownMemberType]
    content = bytearray(path.read_bytes())
    at = content.find(name) + (16 if format_ == "W64" else 4)
    content[at : at + 8] = size.to_bytes(8, "little" if format_ == "W64" else "big")
    assert len(refusal(write(path, bytes(content)))) > 40


@pytest.mark.parametrize("after", [b"", chunk(b"LIST", bytes(3_000)), chunk(b"id3 ", bytes(9_001))])
def test_a_file_that_is_really_cut_short_says_so(tmp_path: Path, after: bytes) -> None:
    whole = riff(chunk(b"fmt ", fmt()), chunk(b"data", SOUND), after)
    assert length_sec(write(tmp_path / "a.wav", whole)) == pytest.approx(SPEECH_SEC)
    assert "cut short" in refusal(write(tmp_path / "b.wav", whole[: len(SOUND) // 2]))


def test_a_cut_behind_the_sound_does_not_matter(tmp_path: Path) -> None:
    whole = riff(chunk(b"fmt ", fmt()), chunk(b"data", SOUND), chunk(b"LIST", bytes(50_000)))
    assert length_sec(write(tmp_path / "a.wav", whole[:-40_000])) == pytest.approx(SPEECH_SEC)


def test_the_limit_holds_whatever_is_promised(tmp_path: Path) -> None:
    sound = pcm16(np.tile(SPEECH, 5))
    for promised in (0, 2_000_000_000, 0xFFFF_FFFF, len(sound)):
        content = riff(chunk(b"fmt ", fmt()), chunk(b"data", sound, size=promised))
        assert "may be 0:20 long" in refusal(write(tmp_path / "a.wav", content), 20.0)
