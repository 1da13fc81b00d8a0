"""The sound of a film may begin late, end early, or be one of several: its length is its own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from av.error import InvalidDataError

from personaplex_ui.audio.files import clip_file
from tests.support.field_sounds import FIELD, SPEECH, SPEECH_SEC, encoded, length_sec, refusal, write

KINDS = [
    ("a.webm", "libopus"),
    ("a.mkv", "aac"),
    ("a.mkv", "libmp3lame"),
    ("a.mp4", "aac"),
    ("a.mov", "pcm_s16le"),
]


def test_the_file() -> None:
    assert length_sec(FIELD / "webm_sound_begins_late.webm") == pytest.approx(SPEECH_SEC, abs=0.03)


@pytest.mark.parametrize(("name", "codec"), KINDS)
@pytest.mark.parametrize(("begins_sec", "video_sec"), [(0.0, 0.0), (5.0, 11.0), (0.0, 12.0), (4.0, 2.0)])
def test_a_film_is_as_long_as_its_sound(
    tmp_path: Path, name: str, codec: str, begins_sec: float, video_sec: float
) -> None:
    path = encoded(tmp_path / name, codec, SPEECH, begins_sec=begins_sec, video_sec=video_sec)
    assert length_sec(path) == pytest.approx(SPEECH_SEC, abs=0.1)


@pytest.mark.parametrize(("name", "codec"), KINDS)
def test_of_two_tracks_the_first(tmp_path: Path, name: str, codec: str) -> None:
    path = encoded(tmp_path / name, codec, SPEECH, np.zeros(264_000, dtype=np.float32), video_sec=9.0)
    assert length_sec(path) == pytest.approx(SPEECH_SEC, abs=0.1)


def test_a_first_track_without_sound_is_passed_over(tmp_path: Path) -> None:
    path = encoded(tmp_path / "a.mkv", "pcm_s16le", SPEECH[:0], SPEECH, rate_hz=24_000)
    assert length_sec(path) == pytest.approx(SPEECH_SEC, abs=0.1)


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.webm", "libopus", {}),
        ("a.mkv", "aac", {}),
        ("a.m4a", "aac", {"movflags": "faststart"}),
        ("a.mp4", "aac", {"movflags": "empty_moov+default_base_moof", "frag_duration": "1000000"}),
    ],
)
def test_a_film_that_is_really_cut_short_says_so(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 240_000).astype(np.float32)
    path = encoded(tmp_path / name, codec, noise, video_sec=10.0, options=options)
    assert length_sec(path) == pytest.approx(10.0, abs=0.1)
    content = path.read_bytes()
    assert "cut short" in refusal(write(path, content[: len(content) * 6 // 10]))


def test_a_recorded_stream_tells_no_length_at_all(tmp_path: Path) -> None:
    """What browsers record: no length, and a size that is unknown."""
    path = encoded(tmp_path / "a.webm", "libopus", SPEECH, options={"live": "1"})
    assert length_sec(path) == pytest.approx(SPEECH_SEC, abs=0.1)
    content = path.read_bytes()
    assert length_sec(write(path, content[: len(content) * 6 // 10])) < SPEECH_SEC


@pytest.mark.parametrize(
    ("name", "codec"), [*KINDS, ("a.aac", "aac"), ("a.flac", "flac"), ("a.ogg", "libopus")]
)
def test_what_is_appended_does_not_matter(tmp_path: Path, name: str, codec: str) -> None:
    path = encoded(tmp_path / name, codec, SPEECH)
    path.write_bytes(path.read_bytes() + np.random.default_rng(2).bytes(70_000))
    assert length_sec(path) == pytest.approx(SPEECH_SEC, abs=0.15)


def test_flac_without_a_number_of_samples(tmp_path: Path) -> None:
    path = encoded(tmp_path / "a.flac", "flac", SPEECH, rate_hz=24_000)
    content = bytearray(path.read_bytes())
    assert length_sec(path) == pytest.approx(SPEECH_SEC)
    assert "cut short" in refusal(write(tmp_path / "b.flac", bytes(content[: len(content) * 6 // 10])))
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    assert length_sec(write(path, bytes(content))) == pytest.approx(SPEECH_SEC)
    assert length_sec(write(path, bytes(content[: len(content) * 6 // 10]))) < SPEECH_SEC


CHAIN = [("libopus", 1), ("libopus", 2), ("vorbis", 1), ("flac", 2)]


def link(path: Path, codec: str, channels: int) -> bytes:
    if codec == "vorbis":
        soundfile.write(path, SPEECH, 24_000, subtype="VORBIS")  # pyright: ignore[reportUnknownMemberType]
        return path.read_bytes()
    return encoded(path, codec, SPEECH, channels=channels).read_bytes()


@pytest.mark.parametrize("first", CHAIN)
@pytest.mark.parametrize("second", CHAIN)
def test_a_chain_is_heard_whole(tmp_path: Path, first: tuple[str, int], second: tuple[str, int]) -> None:
    """Two Ogg files joined, whatever their codecs and channels."""
    links = [link(tmp_path / f"{number}.ogg", *kind) for number, kind in enumerate((first, second))]
    path = write(tmp_path / "chain.ogg", b"".join(links))
    assert length_sec(path) == pytest.approx(2 * SPEECH_SEC, abs=0.1)
    assert "longer than that" in refusal(path, 8.0)
    path.write_bytes(links[0] + links[1][:60] + bytes(100))
    assert length_sec(path) == pytest.approx(SPEECH_SEC, abs=0.1)


def test_few_bytes_that_stand_for_much_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = encoded(tmp_path / "a.flac", "flac", SPEECH, rate_hz=24_000)
    assert length_sec(path) == pytest.approx(SPEECH_SEC)
    monkeypatch.setattr(clip_file, "LARGEST_FRAME_SAMPLES", 10)
    assert "cannot be read" in refusal(path)


def test_a_file_of_damaged_packets_is_not_read_to_its_end() -> None:
    class Damaged:
        read = 0

        def demux(self, stream: object) -> Iterator[object]:
            while self.read < 1_000_000:
                self.read += 1
                yield self

        def decode(self) -> list[object]:
            raise InvalidDataError(1, "damaged")

    damaged: Any = Damaged()
    with pytest.raises(InvalidDataError):
        list(clip_file._frames(damaged, damaged))  # pyright: ignore[reportPrivateUsage]
    assert damaged.read <= clip_file.MOST_DAMAGED_PACKETS


def test_the_limit_is_that_of_the_sound(tmp_path: Path) -> None:
    path = encoded(tmp_path / "a.mp4", "aac", SPEECH, begins_sec=20.0, video_sec=30.0)
    assert length_sec(path, 5.5) == pytest.approx(SPEECH_SEC, abs=0.1)
    assert "longer than that" in refusal(path, 4.0)
