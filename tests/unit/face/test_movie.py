"""The film: an MP4 that players open, as long as its sound, whose mouth moves with it."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from personaplex_ui.audio.frames import Samples
from personaplex_ui.face import movie
from personaplex_ui.face.motion import PICTURE_SEC
from personaplex_ui.face.movie import FaceFailed, pictures_of, write_face
from tests.support.face import envelope, mouth_areas
from tests.support.field_sounds import SPEECH

SPEECH_SEC = len(SPEECH) / 24_000


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "face.mp4"
    sec = write_face(path, np.array_split(SPEECH, 37))
    assert sec == pytest.approx(SPEECH_SEC, abs=PICTURE_SEC)
    return path


def test_pyav_opens_it(film: Path):
    with av.open(str(film)) as opened:
        (video,), (sound,) = opened.streams.video, opened.streams.audio
        assert (video.codec_context.name, video.pix_fmt, sound.codec_context.name) == (
            "h264",
            "yuv420p",
            "aac",
        )
        assert (video.width, video.height, video.average_rate) == (512, 512, 25)
        for stream in (video, sound):
            assert stream.duration is not None
            assert stream.time_base is not None
            assert float(stream.duration * stream.time_base) == pytest.approx(SPEECH_SEC, abs=PICTURE_SEC)


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="FFmpeg is not installed")
def test_ffprobe_opens_it(film: Path):
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_format", "-show_streams", "-count_frames"]
    shown = subprocess.run([*command, film], capture_output=True, text=True, timeout=60, check=True)
    assert shown.stderr == ""
    told: dict[str, Any] = json.loads(shown.stdout)
    video = next(stream for stream in told["streams"] if stream["codec_type"] == "video")
    assert video["r_frame_rate"] == "25/1"
    assert int(video["nb_read_frames"]) == pytest.approx(SPEECH_SEC * 25, abs=1)
    assert float(told["format"]["duration"]) == pytest.approx(SPEECH_SEC, abs=PICTURE_SEC)


def test_the_mouth_moves_with_the_sound_and_not_with_that_of_another_time(film: Path):
    areas, loudness = mouth_areas(film), envelope(SPEECH)
    assert len(areas) == len(loudness)
    fitting = np.corrcoef(areas, loudness)[0, 1]
    assert fitting > 0.5
    for shift in (12, 25, 50):
        assert np.corrcoef(np.roll(areas, shift), loudness)[0, 1] < fitting - 0.3


def test_the_sound_in_it_is_the_sound(film: Path):
    with av.open(str(film)) as opened:
        heard = np.concatenate([frame.to_ndarray()[0] for frame in opened.decode(audio=0)])
    least = min(len(envelope(heard)), len(envelope(SPEECH)))
    assert np.corrcoef(envelope(heard)[:least], envelope(SPEECH)[:least])[0, 1] > 0.9


def test_the_same_sound_gives_the_same_film(tmp_path: Path):
    for name in ("one", "two"):
        write_face(tmp_path / name, [SPEECH[:24_000]])
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_block_of_any_length_fills_pictures():
    parts = list(pictures_of([SPEECH[:100], SPEECH[100:5_000], SPEECH[5_000:5_001]]))
    assert [len(part) for part in parts] == [960] * 6
    joined = np.concatenate(parts)
    assert np.array_equal(joined[:5_001], SPEECH[:5_001])
    assert not joined[5_001:].any()


def test_one_that_is_cancelled_leaves_nothing_and_reads_no_further(tmp_path: Path):
    read = 0

    def sound() -> Iterator[Samples]:
        nonlocal read
        for _ in range(1_000):
            read += 1
            yield SPEECH[:960]

    with pytest.raises(FaceFailed):
        write_face(tmp_path / "face.mp4", sound(), is_cancelled=lambda: read >= 3)
    assert read == 3
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses_is_told_in_a_sentence(tmp_path: Path):
    with pytest.raises(FaceFailed, match="could not be made") as failed:
        write_face(tmp_path / "missing" / "face.mp4", [SPEECH[:960]])
    assert str(tmp_path) not in str(failed.value)


def test_a_pyav_without_an_encoder_is_told_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(movie, "ENCODERS", ("no_such_encoder",))
    with pytest.raises(FaceFailed, match=r"H\.264"):
        write_face(tmp_path / "face.mp4", [SPEECH[:960]])
    assert list(tmp_path.iterdir()) == []


def test_silence_without_a_sample_is_told(tmp_path: Path):
    with pytest.raises(FaceFailed):
        write_face(tmp_path / "face.mp4", [])
    assert list(tmp_path.iterdir()) == []
