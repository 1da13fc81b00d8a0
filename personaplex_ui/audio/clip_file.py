"""Sound files: reads whatever a user gives as a clip, writes WAV.

Knows containers, codecs and WAV's header. The file is not trusted: only the formats below are opened,
so that a playlist cannot make us fetch other files or addresses; and never more is decoded than may be
used, whatever length the file claims. All functions block.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.error import FFmpegError, InvalidDataError

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples
from personaplex_ui.audio.resample import Resampler
from personaplex_ui.errors import InvalidInput

WAV_HEADER_BYTES = 44
FORMATS = "wav,w64,aiff,au,caf,mp3,aac,flac,ogg,mov,matroska"
"""FFmpeg's names of what is opened: also m4a and mp4 (mov), webm (matroska), rf64 (wav)."""

LENGTH_UNKNOWN = {"aac"}
"""Formats without a length of their own; FFmpeg guesses it from the first bytes' bit rate."""
OVER_SEC = 0.1
"""A clip may be longer than allowed by an encoder's padding; so much is cut off without a word."""
MISSING_SHARE = 0.1
"""A file that gives less than 90% of the length it claims (and at least 0.5 s less) was cut short."""
LOWEST_HZ, HIGHEST_HZ = 4_000, 768_000

_ANOTHER = "Save it as WAV, MP3, OGG, FLAC, M4A or WebM and try again."
_CUT_SHORT = "The audio file is cut short or damaged: its end is missing. Save or upload it again."
_EMPTY = "The audio file is empty: it holds 0 seconds of sound. Record or choose another."
_FULL_SCALE = {"u1": 2.0**7, "i2": 2.0**15, "i4": 2.0**31}


def read_clip(path: Path, max_sec: float) -> Samples:
    """The sound of the file at ``path``: mono (the mean of its channels), 24 kHz, ``[n]`` with n > 0.

    Raises InvalidInput for field ``audio`` when the file cannot be opened or decoded, holds no sound,
    was cut short, or is longer than ``max_sec`` (after at most ``max_sec`` of decoding).
    """
    try:
        with path.open("rb") as file:
            if file.seek(0, 2) == 0:
                raise InvalidInput("audio", _EMPTY)
            if _ends_early(file):
                raise InvalidInput("audio", _CUT_SHORT)
            return _decoded(file, max_sec)
    except FFmpegError as error:
        raise InvalidInput("audio", f"This file cannot be read as audio. {_ANOTHER}") from error
    except OSError as error:
        raise InvalidInput("audio", "The audio file cannot be opened. Upload it again.") from error


def write_wav(path: Path, samples: Samples) -> None:
    """Write ``samples`` ``[n]`` as a WAV of 16 bits, 24 kHz, mono. Raises OSError."""
    sound = to_pcm16(samples).tobytes()
    path.write_bytes(wav_header(1, len(sound)) + sound)


def to_pcm16(samples: Samples) -> npt.NDArray[np.int16]:
    """Float sound as 16-bit numbers, clipped at full scale; what is no number becomes silence."""
    loud = np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0) * 32767.0
    return np.rint(np.clip(loud, -32768.0, 32767.0)).astype("<i2")


def wav_header(channels: int, data_bytes: int) -> bytes:
    """The 44 bytes before ``data_bytes`` of 16-bit sound at 24 kHz."""
    block = 2 * channels
    form = struct.pack(
        "<4sIHHIIHH", b"fmt ", 16, 1, channels, SAMPLE_RATE_HZ, SAMPLE_RATE_HZ * block, block, 16
    )
    return (
        struct.pack("<4sI4s", b"RIFF", 36 + data_bytes, b"WAVE")
        + form
        + struct.pack("<4sI", b"data", data_bytes)
    )


def _decoded(file: BinaryIO, max_sec: float) -> Samples:
    with av.open(file, "r", options={"format_whitelist": FORMATS}) as container:
        if not container.streams.audio:
            raise InvalidInput("audio", f"There is no sound in this file. {_ANOTHER}")
        stream = container.streams.audio[0]
        claimed_sec = _claimed_sec(container, stream)
        if claimed_sec > max_sec + OVER_SEC:
            raise _too_long(max_sec, claimed_sec)
        parts: list[Samples] = []
        length = 0
        for part in _mono_24k(_frames(container, stream)):
            parts.append(part)
            length += len(part)
            if length > (max_sec + OVER_SEC) * SAMPLE_RATE_HZ:
                raise _too_long(max_sec, None)
    if length == 0:
        raise InvalidInput("audio", _EMPTY)
    missing_sec = claimed_sec - length / SAMPLE_RATE_HZ
    if missing_sec > max(0.5, MISSING_SHARE * claimed_sec):
        raise InvalidInput("audio", _CUT_SHORT)
    return np.concatenate(parts)[: int(max_sec * SAMPLE_RATE_HZ)]


def _claimed_sec(container: InputContainer, stream: av.AudioStream) -> float:
    """The length the file says it has, 0 when it says nothing or FFmpeg only guesses."""
    if container.format.name in LENGTH_UNKNOWN:
        return 0.0
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / av.time_base


def _frames(container: InputContainer, stream: av.AudioStream) -> Iterator[av.AudioFrame]:
    """Decode packet by packet; a damaged packet is skipped, as players do."""
    for packet in container.demux(stream):
        try:
            yield from packet.decode()
        except InvalidDataError:
            continue


def _mono_24k(frames: Iterator[av.AudioFrame]) -> Iterator[Samples]:
    """Mix down and resample; the rate and the channels may change on the way (chained Ogg files)."""
    resampler: Resampler | None = None
    for frame in frames:
        if not LOWEST_HZ <= frame.sample_rate <= HIGHEST_HZ:
            raise InvalidInput("audio", f"A sample rate of {frame.sample_rate} Hz cannot be used. {_ANOTHER}")
        if resampler is None or resampler.from_hz != frame.sample_rate:
            if resampler is not None:
                yield resampler.flush()
            resampler = Resampler(frame.sample_rate, SAMPLE_RATE_HZ)
        yield np.clip(resampler.push(_mono(frame)), -1.0, 1.0)
    if resampler is not None:
        yield np.clip(resampler.flush(), -1.0, 1.0)


def _mono(frame: av.AudioFrame) -> Samples:
    """The mean of the frame's channels, float32 ``[n]`` in [-1, 1]; no NaN, no infinity."""
    try:
        sound = frame.to_ndarray()
    except ValueError as error:
        raise InvalidInput(
            "audio", f"Samples of the kind {frame.format.name} cannot be used. {_ANOTHER}"
        ) from error
    if not frame.format.is_planar:
        sound = sound.reshape(-1, frame.layout.nb_channels).T
    full_scale = _FULL_SCALE.get(sound.dtype.str[1:])
    if full_scale is not None:
        sound = sound.astype(np.float32) / full_scale - (1.0 if sound.dtype == np.uint8 else 0.0)
    sound = np.clip(np.nan_to_num(sound, nan=0.0, posinf=1.0, neginf=-1.0), -1.0, 1.0)
    return sound.mean(axis=0, dtype=np.float64).astype(np.float32)


def _ends_early(file: BinaryIO) -> bool:
    """Whether a RIFF or Ogg file lacks bytes that its own headers promise; FFmpeg says nothing of it.

    A WAV that was streamed carries a length of 0 or of nearly 2 or 4 GiB: that promises nothing. In an
    Ogg file only the last page can be broken off.
    """
    file.seek(0)
    start = file.read(12)
    size = file.seek(0, 2)
    file.seek(max(0, size - 65_307))  # the longest Ogg page
    end = file.read()
    file.seek(0)
    if start[:4] == b"RIFF" and len(start) == 12:
        promised = struct.unpack("<I", start[4:8])[0] + 8
        return promised - size > 4_096 and promised < 0x7FFF_0000
    if start[:4] == b"OggS":
        page = end[max(0, end.rfind(b"OggS")) :]
        segments = page[26] if len(page) > 26 else 255
        return len(page) < 27 + segments + sum(page[27 : 27 + segments])
    return False


def _too_long(max_sec: float, claimed_sec: float | None) -> InvalidInput:
    length = "longer than that" if claimed_sec is None else _minutes(claimed_sec)
    return InvalidInput(
        "audio",
        f"A clip may be {_minutes(max_sec)} long (minutes:seconds); this one is {length}. Cut it shorter.",
    )


def _minutes(sec: float) -> str:
    return f"{int(sec) // 60}:{int(sec) % 60:02}"
