"""Sound files as programs in the field write them, made of the same speech as the files beside."""

import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from av.container import OutputContainer

from personaplex_ui.audio.files.clip_file import decode_clip
from personaplex_ui.audio.frames import Samples
from personaplex_ui.errors import InvalidInput

FIELD = Path(__file__).parents[1] / "data" / "field"
SPEECH_SEC = 5.288625
MAX_SEC = 60.0

SPEECH: Samples = np.divide(
    np.frombuffer((FIELD / "wav_promises_2e9.wav").read_bytes()[44:], "<i2"), 32_768, dtype=np.float32
)
"""24 kHz, mono."""


def pcm16(sound: npt.NDArray[np.floating]) -> bytes:
    return np.rint(sound * 32_767).clip(-32_768, 32_767).astype("<i2").tobytes()


def fmt(rate_hz: int = 24_000, channels: int = 1, tag: int = 1, bits: int = 16, more: bytes = b"") -> bytes:
    """The content of a WAV's ``fmt `` chunk."""
    block = channels * bits // 8
    return struct.pack("<HHIIHH", tag, channels, rate_hz, rate_hz * block, block, bits) + more


def chunk(name: bytes, content: bytes, *, size: int | None = None, pad: bool = True) -> bytes:
    """A RIFF chunk; ``size``: what its header claims."""
    claimed = len(content) if size is None else size
    return name + struct.pack("<I", claimed) + content + bytes(pad and len(content) % 2)


def riff(*chunks: bytes, form: bytes = b"RIFF", size: int | None = None) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return form + struct.pack("<I", len(body) if size is None else size) + body


def length_sec(path: Path, max_sec: float = MAX_SEC) -> float:
    """The length of what is really read."""
    clip = decode_clip(path, max_sec)
    assert len(clip.samples) >= int(min(clip.length_sec, max_sec) * 24_000)
    return clip.length_sec


def refusal(path: Path, max_sec: float = MAX_SEC) -> str:
    with pytest.raises(InvalidInput) as refused:
        decode_clip(path, max_sec)
    assert refused.value.field == "audio"
    return str(refused.value)


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


Packets = list["av.Packet[Any]"]


def encoded(
    path: Path,
    codec: str,
    *tracks: Samples,
    begins_sec: float = 0.0,
    video_sec: float = 0.0,
    rate_hz: int = 48_000,
    channels: int = 1,
    options: dict[str, str] | None = None,
) -> Path:
    """What FFmpeg writes: ``tracks`` of 24 kHz, beside a video of ``video_sec``."""
    with av.open(str(path), "w", options=options or {}) as container:
        videos = [_video_stream(container, path.suffix)] if video_sec else []
        streams = [container.add_stream(codec, rate=rate_hz) for _ in tracks]
        packets: Packets = []
        for track, stream in zip(tracks, streams, strict=True):
            assert isinstance(stream, av.AudioStream)
            stream.layout = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}[channels]
            packets += _sound_packets(track, stream, begins_sec)
        for video in videos:
            for picture in _pictures(video_sec):
                packets += video.encode(picture)
            packets += video.encode(None)
        container.mux(sorted(packets, key=_time_of))
    return path


def _time_of(packet: "av.Packet[Any]") -> float:
    return float((packet.dts or 0) * (packet.time_base or 0))


def _video_stream(container: OutputContainer, suffix: str) -> av.VideoStream:
    stream = container.add_stream("libvpx" if suffix == ".webm" else "mpeg4", rate=10)
    assert isinstance(stream, av.VideoStream)
    stream.width = stream.height = 64
    stream.pix_fmt = "yuv420p"
    return stream


def _sound_packets(track: Samples, stream: av.AudioStream, begins_sec: float) -> Packets:
    if not len(track):
        return []
    frame = av.AudioFrame.from_ndarray(track[np.newaxis, :], format="flt", layout="mono")
    frame.sample_rate = 24_000
    frame.time_base = Fraction(1, 24_000)
    frame.pts = round(begins_sec * 24_000)
    return [*stream.encode(frame), *stream.encode(None)]


def _pictures(sec: float) -> Iterator[av.VideoFrame]:
    for number in range(round(sec * 10)):
        picture = np.full((64, 64, 3), number % 256, dtype=np.uint8)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = number, Fraction(1, 10)
        yield frame
