"""An MP3 is as long as what decodes: without Xing, Info or VBRI its length is a guess."""

from pathlib import Path

import numpy as np
import pytest

from tests.support.field_sounds import FIELD, SPEECH, SPEECH_SEC, encoded, length_sec, refusal, write

GUESSED = FIELD / "mp3_vbr_without_xing.mp3"
TRAILED = FIELD / "mp3_with_trailing_bytes.mp3"


@pytest.mark.parametrize(("path", "sec"), [(GUESSED, 8.33), (TRAILED, 5.35)])
def test_the_files(path: Path, sec: float) -> None:
    assert length_sec(path) == pytest.approx(sec, abs=0.03)
    assert length_sec(path, sec + 0.1) == pytest.approx(sec, abs=0.03)


def id3(size: int) -> bytes:
    return b"ID3\x04\0\0" + bytes((size >> shift) & 127 for shift in (21, 14, 7, 0)) + bytes(size)


def mp3(path: Path, **options: str) -> bytes:
    return encoded(path, "libmp3lame", SPEECH, options=options).read_bytes()


@pytest.mark.parametrize("xing", ["0", "1"])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (id3(100), b""),
        (id3(5_000_000), b""),  # a picture
        (id3(300) + id3(70_000), b""),
        (b"", bytes(300_000)),
        (b"", b"\xff" * 300_000),
        (b"", b"Lyrics follow. " * 20_000),
        (b"", b"APETAGEX\xd0\x07\0\0" + bytes(100_000)),
        (b"", b"TAG" + bytes(125)),
        (b"", np.random.default_rng(1).bytes(200_000)),
    ],
)
def test_what_stands_around_the_sound(tmp_path: Path, xing: str, before: bytes, after: bytes) -> None:
    path = tmp_path / "a.mp3"
    path.write_bytes(before + mp3(path, write_xing=xing) + after)
    assert length_sec(path) == pytest.approx(SPEECH_SEC, abs=0.15)


@pytest.mark.parametrize("xing", ["0", "1"])
def test_two_in_one(tmp_path: Path, xing: str) -> None:
    one = mp3(tmp_path / "1.mp3", write_xing=xing)
    assert length_sec(write(tmp_path / "2.mp3", one + one)) == pytest.approx(2 * SPEECH_SEC, abs=0.2)


def test_a_length_of_its_own_proves_that_the_end_is_missing(tmp_path: Path) -> None:
    content = mp3(tmp_path / "a.mp3", write_xing="1")
    assert "cut short" in refusal(write(tmp_path / "b.mp3", id3(400) + content[: len(content) * 6 // 10]))


def test_a_guess_proves_nothing(tmp_path: Path) -> None:
    content = mp3(tmp_path / "a.mp3", write_xing="0")
    cut = write(tmp_path / "b.mp3", content[: len(content) * 6 // 10])
    assert length_sec(cut) == pytest.approx(0.6 * SPEECH_SEC, abs=0.2)


def test_the_limit_holds_although_no_length_is_told(tmp_path: Path) -> None:
    content = mp3(tmp_path / "a.mp3", write_xing="0")
    assert "longer than that" in refusal(write(tmp_path / "b.mp3", content * 5), 20.0)
    assert "longer than that" in refusal(GUESSED, 8.0)
