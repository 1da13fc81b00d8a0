"""Clips in all formats, and what is not a clip. Lengths, chunks, phases and rates: tests/field/test_b0*."""

import struct
import tracemalloc
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile

from personaplex_ui.audio.files.clip_file import read_clip, to_pcm16, wav_header, write_wav
from personaplex_ui.audio.frames import Samples
from tests.support.field_sounds import encoded, refusal
from tests.support.sounds import tone

MAX_SEC = 20.0


def write(path: Path, sound: np.ndarray[Any, Any], rate_hz: int = 24_000, **options: Any) -> Path:
    """``sound``: ``[n]`` or ``[n, channels]``."""
    soundfile.write(path, sound, rate_hz, **options)  # pyright: ignore[reportUnknownMemberType]
    return path


def pitch_and_rms(sound: Samples) -> tuple[float, float]:
    inner = sound[4_000:-4_000]  # codecs blur the edges
    spectrum = np.abs(np.fft.rfft(inner))
    return float(np.argmax(spectrum) * 24_000 / len(inner)), float(np.sqrt(np.mean(inner**2)))


WRITERS: dict[str, Callable[[Path, Samples], Path]] = {
    "16 bit.wav": write,
    "8 bit.wav": lambda path, sound: write(path, sound, subtype="PCM_U8"),
    "24 bit.wav": lambda path, sound: write(path, sound, subtype="PCM_24"),
    "32 bit.wav": lambda path, sound: write(path, sound, subtype="PCM_32"),
    "float.wav": lambda path, sound: write(path, sound, subtype="FLOAT"),
    "double.wav": lambda path, sound: write(path, sound, subtype="DOUBLE"),
    "mu-law.wav": lambda path, sound: write(path, sound, subtype="ULAW"),
    "a.aiff": write,
    "a.flac": write,
    "a.mp3": write,
    "vorbis.ogg": write,
    "opus.ogg": lambda path, sound: write(path, sound, format="OGG", subtype="OPUS"),
    "a.m4a": lambda path, sound: encoded(path, "aac", sound),
    "a.aac": lambda path, sound: encoded(path, "aac", sound),
    "a.webm": lambda path, sound: encoded(path, "libopus", sound),
}


@pytest.mark.parametrize("name", WRITERS)
def test_formats(tmp_path: Path, name: str) -> None:
    path = WRITERS[name](tmp_path / name, tone(3.0))
    sound = read_clip(path, MAX_SEC)
    assert sound.dtype == np.float32
    assert sound.ndim == 1
    assert len(sound) == pytest.approx(72_000, abs=1_000)  # codecs pad
    pitch_hz, rms = pitch_and_rms(sound)
    assert pitch_hz == pytest.approx(440, abs=1)
    assert rms == pytest.approx(0.5 / np.sqrt(2), rel=0.05)


def test_a_name_that_lies_does_not_matter(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", tone(1.0)).rename(tmp_path / "a.txt")
    assert len(read_clip(path, MAX_SEC)) == 24_000


@pytest.mark.parametrize("format_", ["WAV", "WAVEX", "FLAC"])
def test_all_of_8_channels_count_alike(tmp_path: Path, format_: str) -> None:
    amplitudes = np.array([0.8, 0.1, 0.0, 0.4, 0.0, 0.2, 0.0, 0.1])  # also the low-frequency channel
    sound = tone(1.0, amplitude=1.0)[:, np.newaxis] * amplitudes
    path = write(tmp_path / "a.bin", sound, format=format_, subtype="PCM_16")
    assert np.abs(read_clip(path, MAX_SEC) - tone(1.0, amplitude=0.2)).max() < 1e-4


def test_full_scale_stays_in_range_and_16_bits_come_back_exactly(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_wav(path, np.array([0.0, 1.0, -1.0, 5.0, -5.0, 0.25], dtype=np.float32))
    with wave.open(str(path)) as wav:
        assert (wav.getnchannels(), wav.getsampwidth(), wav.getframerate()) == (1, 2, 24_000)
        assert list(np.frombuffer(wav.readframes(9), "<i2")) == [0, 32767, -32767, 32767, -32768, 8192]
    sound = read_clip(path, MAX_SEC)
    assert list(sound * 32768) == [0, 32767, -32767, 32767, -32768, 8192]


def test_what_is_no_number_in_a_float_wav_becomes_harmless(tmp_path: Path) -> None:
    sound = tone(1.0)
    sound[1_000], sound[2_000], sound[3_000], sound[4_000] = np.nan, np.inf, -np.inf, 1e30
    read = read_clip(write(tmp_path / "a.wav", sound, subtype="FLOAT"), MAX_SEC)
    assert list(read[[1_000, 2_000, 3_000, 4_000]]) == [0.0, 1.0, -1.0, 1.0]
    untouched = np.delete(np.arange(24_000), [1_000, 2_000, 3_000, 4_000])
    assert np.array_equal(read[untouched], sound[untouched])
    resampled = read_clip(write(tmp_path / "b.wav", sound, 48_000, subtype="FLOAT"), MAX_SEC)
    assert np.isfinite(resampled).all()


def test_pcm16_of_what_is_no_number() -> None:
    sound = np.array([np.nan, np.inf, -np.inf, 0.5], dtype=np.float32)
    assert list(to_pcm16(sound)) == [0, 32767, -32767, 16384]


# What cannot be used -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"Dear reader, this is a letter.\n" * 200,
        b"RIFF\x00\x00\x00\x00WAVE and then nothing that makes sense" * 20,
        b"OggS" + bytes(200),
        b"ID3\x04\x00\x00\x00\x00\x0f\x00" + bytes(3_000),
        np.random.default_rng(0).bytes(50_000),
        bytes(50_000),
        b"\x00",
    ],
)
def test_what_is_no_audio(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    assert len(refusal(path)) > 40


@pytest.mark.parametrize("content", [b"", wav_header(1, 0)])
def test_0_seconds(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    assert "empty" in refusal(path)


def test_a_file_that_is_gone_or_a_folder(tmp_path: Path) -> None:
    assert "Upload it again" in refusal(tmp_path / "gone.wav")
    assert "Upload it again" in refusal(tmp_path)


def test_a_film_without_sound(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), dtype=np.uint8), format="rgb24")
        container.mux([*stream.encode(frame), *stream.encode(None)])
    assert "no sound" in refusal(path)


def test_a_playlist_makes_us_open_no_other_file(tmp_path: Path) -> None:
    clip = encoded(tmp_path / "secret.aac", "aac", tone(2.0))
    assert len(read_clip(clip, MAX_SEC)) > 0
    playlist = tmp_path / "a.m3u8"
    playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{clip}\n#EXT-X-ENDLIST\n")
    assert "cannot be read" in refusal(playlist)
    playlist.write_text(f"ffconcat version 1.0\nfile {clip.name}\n")
    assert "cannot be read" in refusal(playlist)


def test_a_codec_that_nobody_knows(tmp_path: Path) -> None:
    path = encoded(tmp_path / "a.webm", "libopus", tone(1.0))
    path.write_bytes(path.read_bytes().replace(b"A_OPUS", b"A_OPUX"))
    assert "cannot be read" in refusal(path)


@pytest.mark.parametrize("rate_hz", [1, 100, 3_999, 800_000, 2_000_000_000])
def test_absurd_rates(tmp_path: Path, rate_hz: int) -> None:
    path = tmp_path / "a.wav"
    header = bytearray(wav_header(1, 4_000))
    header[24:28] = struct.pack("<I", rate_hz)
    path.write_bytes(bytes(header) + bytes(4_000))
    assert len(refusal(path, max_sec=3_600.0)) > 40


# Cut short ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["16 bit.wav", "float.wav", "a.flac", "a.mp3", "vorbis.ogg", "opus.ogg", "a.m4a", "a.webm"]
)
@pytest.mark.parametrize("share", [0.1, 0.6, 0.85])
def test_a_file_that_was_cut_short(tmp_path: Path, name: str, share: float) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 24_000 * 10).astype(np.float32)  # bytes spread evenly
    path = WRITERS[name](tmp_path / name, noise)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    sentence = refusal(path)
    assert "again" in sentence


def test_a_damaged_packet_in_the_middle_is_skipped(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp3", tone(10.0))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 100] = bytes(100)
    path.write_bytes(content)
    assert len(read_clip(path, MAX_SEC)) > 9 * 24_000


# Too long ----------------------------------------------------------------------------------------------


def test_two_hours_are_refused_without_decoding_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.wav"
    with path.open("wb") as file:
        file.write(wav_header(1, 7_200 * 48_000))
        file.truncate(44 + 7_200 * 48_000)  # a hole: takes no room on the disk

    def never(*_: object) -> None:
        raise AssertionError("it was decoded")

    monkeypatch.setattr("personaplex_ui.audio.files.clip_file._frames", never)
    sentence = refusal(path, MAX_SEC)
    assert "120:00" in sentence
    assert "0:20" in sentence


def test_two_hours_without_a_length_are_decoded_no_further_than_allowed(tmp_path: Path) -> None:
    """ADTS AAC tells no length. One packet of silence, 700,000 times over, is 4 hours in 5 MB."""
    packet = encoded(tmp_path / "a.aac", "aac", np.zeros(24_000, dtype=np.float32)).read_bytes()
    packet = b"\xff\xf1" + packet.split(b"\xff\xf1")[3]
    path = tmp_path / "long.aac"
    path.write_bytes(packet * 700_000)
    tracemalloc.start()
    try:
        assert "longer" in refusal(path, max_sec=20.0)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000  # 20 s are 2 MB, 4 hours 1.4 GB
    finally:
        tracemalloc.stop()


def test_exactly_as_long_as_allowed_is_allowed_padding_of_a_codec_too(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_wav(path, tone(2.0))
    assert len(read_clip(path, 2.0)) == 48_000
    write_wav(path, tone(2.05))
    assert len(read_clip(path, 2.0)) == 48_000
    write_wav(path, tone(2.2))
    assert "0:02" in refusal(path, 2.0)
    padded = encoded(tmp_path / "a.m4a", "aac", tone(2.0))
    assert len(read_clip(padded, 2.0)) == 48_128  # 94 blocks of the resampler


def test_writing_where_nothing_can_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        write_wav(tmp_path / "gone" / "a.wav", tone(0.1))
