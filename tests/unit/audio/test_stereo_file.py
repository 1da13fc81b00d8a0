"""Recordings of two sides, in one file or in two."""

from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from personaplex_ui.audio.files import stereo_file
from personaplex_ui.audio.files.stereo_file import paired_blocks, stereo_blocks
from personaplex_ui.audio.frames import SAMPLE_RATE_HZ
from personaplex_ui.errors import InvalidInput
from tests.support.sounds import peak_hz, tone


def written(path: Path, sound: npt.NDArray[np.float32], rate_hz: int = SAMPLE_RATE_HZ) -> Path:
    soundfile.write(path, sound, rate_hz, subtype="FLOAT")
    return path


def test_a_file_comes_in_blocks_as_it_is(tmp_path: Path) -> None:
    sound = np.random.default_rng(1).uniform(-1, 1, (12 * SAMPLE_RATE_HZ + 7, 2)).astype(np.float32)
    blocks = list(stereo_blocks(written(tmp_path / "a.wav", sound)))
    assert max(len(block) for block in blocks) == 5 * SAMPLE_RATE_HZ
    np.testing.assert_array_equal(np.concatenate(blocks), sound)


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 44_100, 96_000])
def test_each_side_is_resampled_in_place(tmp_path: Path, rate_hz: int) -> None:
    """Without a seam, a shift, or a word between the sides."""
    sides = [tone(12.0, hz, rate_hz) for hz in (440.0, 1_000.0)]
    read = np.concatenate(list(stereo_blocks(written(tmp_path / "a.wav", np.stack(sides, 1), rate_hz))))
    assert len(read) == pytest.approx(12 * SAMPLE_RATE_HZ, abs=30)
    for side, hz in enumerate((440.0, 1_000.0)):
        expected = tone(12.0, hz)[: len(read)]
        assert peak_hz(read[:, side]) == pytest.approx(hz, abs=0.1)
        assert np.max(np.abs(read[200:-200, side] - expected[200 : len(read) - 200])) < 0.02


@pytest.mark.parametrize(("first_sec", "second_sec"), [(12.0, 0.5), (0.5, 12.0), (5.0, 10.0), (7.0, 7.0)])
def test_two_files_are_two_sides(tmp_path: Path, first_sec: float, second_sec: float) -> None:
    random = np.random.default_rng(2)
    sides = [
        random.uniform(-1, 1, round(sec * SAMPLE_RATE_HZ)).astype(np.float32)
        for sec in (first_sec, second_sec)
    ]
    paths = [written(tmp_path / f"{number}.wav", side) for number, side in enumerate(sides)]
    read = np.concatenate(list(paired_blocks(paths[0], paths[1])))
    assert read.shape == (max(map(len, sides)), 2)
    for number, side in enumerate(sides):
        np.testing.assert_array_equal(read[: len(side), number], side)
        assert not read[len(side) :, number].any()


def test_a_side_of_several_channels_is_mixed_down_and_of_another_rate_resampled(tmp_path: Path) -> None:
    stereo = written(tmp_path / "a.wav", np.stack([tone(6.0), 0 * tone(6.0)], 1))
    fast = written(tmp_path / "b.wav", tone(6.0, rate_hz=48_000), 48_000)
    read = np.concatenate(list(paired_blocks(stereo, fast)))
    np.testing.assert_allclose(read[:, 0], 0.5 * tone(6.0), atol=1e-6)
    assert np.max(np.abs(read[200:-200, 1] - tone(6.0)[200 : len(read) - 200])) < 0.02


def test_a_recording_may_not_be_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stereo_file, "LONGEST_SEC", 11.0)
    path = written(tmp_path / "a.wav", np.zeros((12 * SAMPLE_RATE_HZ, 2), dtype=np.float32))
    with pytest.raises(InvalidInput, match="Cut it into parts"):
        list(stereo_blocks(path))
    for sides in ((path, tmp_path / "no.wav"), (tmp_path / "no.wav", path)):
        with pytest.raises(InvalidInput, match="cannot be read"):
            list(paired_blocks(*sides))


CODECS = [("m4a", "aac"), ("mp3", "libmp3lame"), ("webm", "libopus")]


@pytest.mark.parametrize(("kind", "codec"), CODECS)
def test_formats_of_uploads_keep_their_sides_and_print_nothing(
    tmp_path: Path, kind: str, codec: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"a.{kind}"
    sides = np.stack([0.5 * tone(12.0, hz, 48_000) for hz in (440.0, 1_000.0)])
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, rate=48_000, layout="stereo")
        assert isinstance(stream, av.AudioStream)
        for start in range(0, sides.shape[1], 4_800):
            part = np.ascontiguousarray(sides[:, start : start + 4_800])
            frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts = 48_000, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    blocks = list(stereo_blocks(path))
    assert max(len(block) for block in blocks) < 5.2 * SAMPLE_RATE_HZ
    read = np.concatenate(blocks)
    assert len(read) == pytest.approx(12 * SAMPLE_RATE_HZ, abs=3_000)
    for side, hz in enumerate((440.0, 1_000.0)):
        assert peak_hz(read[:, side]) == pytest.approx(hz, abs=0.5)
    assert capfd.readouterr() == ("", "")


def test_an_mp3_that_is_damaged_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """libsndfile's decoder writes to the process's stderr, past Python."""
    path = tmp_path / "a.mp3"
    noise = np.random.default_rng(3).uniform(-0.5, 0.5, (5 * SAMPLE_RATE_HZ, 2))
    soundfile.write(path, noise, SAMPLE_RATE_HZ, format="MP3")
    content = bytearray(path.read_bytes())
    for at in range(8_000, len(content) - 100, 4_001):
        content[at : at + 40] = bytes(range(40))
    path.write_bytes(content)
    assert sum(len(block) for block in stereo_blocks(path)) > 0
    assert capfd.readouterr() == ("", "")
