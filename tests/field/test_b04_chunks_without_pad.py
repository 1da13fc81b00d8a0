"""A chunk of odd size whose pad byte was forgotten, wherever it stands."""

from pathlib import Path

import numpy as np
import pytest

from personaplex_ui.audio.files.clip_file import read_clip
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
FMT = chunk(b"fmt ", fmt())
DATA = chunk(b"data", SOUND)


def odd(name: bytes, length: int = 37, pad: bool = False) -> bytes:
    return chunk(name, b"INFOISFT" + b"x" * (length - 8), pad=pad)


def test_the_file() -> None:
    assert length_sec(FIELD / "wav_odd_list_without_pad.wav") == pytest.approx(SPEECH_SEC)


@pytest.mark.parametrize(
    "chunks",
    [
        [odd(b"LIST"), FMT, DATA],
        [FMT, odd(b"LIST"), DATA],
        [FMT, odd(b"LIST"), odd(b"bext", 603), odd(b"Xtra", 11), DATA],
        [odd(b"JUNK", 27), FMT, odd(b"LIST", pad=True), odd(b"iXML", 101), DATA],
        [chunk(b"fmt ", fmt(more=b"\0\0\0"), pad=False), DATA],
        [FMT, odd(b"LIST"), DATA, odd(b"id3 "), odd(b"LIST")],
        [FMT, DATA, odd(b"LIST"), odd(b"id3 ")],
        [FMT, odd(b"????", 9), odd(b"LIST"), DATA],
        [FMT, odd(b"LIST", pad=True), odd(b"LIST", 41, pad=True), DATA],
        [FMT, odd(b"LIST"), chunk(b"data", SOUND, size=0xFFFF_FFFF)],
        [FMT, odd(b"LIST"), chunk(b"data", SOUND, size=0)],
        [FMT, odd(b"LIST"), chunk(b"data", SOUND, size=2_000_000_000)],
    ],
)
def test_chunks_are_found_and_the_sound_is_exact(tmp_path: Path, chunks: list[bytes]) -> None:
    path = write(tmp_path / "a.wav", riff(*chunks))
    sound = read_clip(path, 60.0)
    expected = np.frombuffer(SOUND, "<i2").astype(np.float32) / 32_768
    assert np.array_equal(sound[: len(expected)], expected)
    assert len(sound) - len(expected) < 200  # with a length of 0 whatever follows is sound


@pytest.mark.parametrize(("tag", "bits"), [(1, 8), (1, 24), (3, 32), (6, 8), (7, 8), (0xFFFE, 16)])
def test_other_samples(tmp_path: Path, tag: int, bits: int) -> None:
    extension = (
        b"\x16\0" + b"\x10\0" + b"\4\0\0\0" + b"\1\0\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"
        if tag == 0xFFFE
        else b""
    )
    content = riff(
        chunk(b"fmt ", fmt(tag=tag, bits=bits, more=extension)),
        odd(b"LIST"),
        chunk(b"data", bytes(24_000 * 2 * bits // 8)),
    )
    assert length_sec(write(tmp_path / "a.wav", content)) == pytest.approx(2.0)


def test_an_odd_data_chunk(tmp_path: Path) -> None:
    eight_bits = np.tile(np.arange(256, dtype=np.uint8), 100)[:24_001].tobytes()
    content = riff(
        chunk(b"fmt ", fmt(bits=8)), odd(b"LIST"), chunk(b"data", eight_bits, pad=False), odd(b"LIST")
    )
    assert length_sec(write(tmp_path / "a.wav", content)) == pytest.approx(24_001 / 24_000)


def test_one_that_is_cut_short_says_so(tmp_path: Path) -> None:
    whole = riff(FMT, odd(b"LIST"), DATA)
    assert "cut short" in refusal(write(tmp_path / "a.wav", whole[: len(whole) // 2]))


@pytest.mark.parametrize(
    "text", ["Zoë".encode("latin-1"), "声".encode("shift-jis"), b"\xff\xfe\x00", bytes(range(1, 256))]
)
def test_comments_in_any_encoding(tmp_path: Path, text: bytes) -> None:
    comment = chunk(b"LIST", b"INFO" + chunk(b"IART", text + b"\0"))
    assert length_sec(write(tmp_path / "a.wav", riff(FMT, comment, DATA))) == pytest.approx(SPEECH_SEC)


def test_aiff(tmp_path: Path) -> None:
    common = b"\0\1" + (24_000).to_bytes(4, "big") + b"\0\x10" + b"\x40\x0d\xbb\x80\0\0\0\0\0\0"
    name = b"NAME" + (5).to_bytes(4, "big") + b"voice"
    comm = b"COMM" + (18).to_bytes(4, "big") + common
    ssnd = b"SSND" + (48_008).to_bytes(4, "big") + bytes(8) + bytes(48_000)
    body = b"AIFF" + name + comm + ssnd
    content = b"FORM" + len(body).to_bytes(4, "big") + body
    assert length_sec(write(tmp_path / "a.aiff", content)) == pytest.approx(1.0)
