"""Sound files: reads any clip a user uploads, and writes WAV.

Depends on containers, codecs and the WAV header. The file is not trusted: only the formats below are opened,
so that a playlist cannot make us fetch other files or addresses, and no more is decoded than may be used,
whatever length the file claims. All functions block.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition

from personaplex_ui.audio.files.chunks import find_sound_chunks, straightened
from personaplex_ui.audio.files.decoded_sound import ANOTHER, channels_of, mono_24k
from personaplex_ui.audio.files.file_end import flac_length_sec, lacks_its_end
from personaplex_ui.audio.files.mixdown import Mixdown
from personaplex_ui.audio.files.ogg_links import ogg_links
from personaplex_ui.audio.files.pyav_faults import QuietFile, check_frames
from personaplex_ui.audio.files.regular_file import open_regular
from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples
from personaplex_ui.errors import InvalidInput

WAV_HEADER_BYTES = 44
FORMATS = "wav,w64,aiff,au,caf,mp3,aac,flac,ogg,mov,matroska"
"""FFmpeg's names of the formats opened; they include m4a and mp4 (mov), webm (matroska) and rf64 (wav)."""

UNCOMPRESSED = {"wav", "w64", "aiff", "au", "caf"}
"""Formats whose length in seconds follows from their bytes if their codec is PCM."""
OVER_SEC = 0.1
"""A clip may exceed the limit by an encoder's padding, which is cut off silently."""
MISSING_SHARE = 0.1
"""A FLAC that gives less than 90% of the length it claims (and at least 0.5 s less) was cut short."""
MOST_TRACKS = 4
"""A file whose first tracks are all empty is not searched further."""
LARGEST_FRAME_SAMPLES = 1 << 20
"""A few bytes of some codecs can stand for more: no file needs it, and it would be held in memory at once."""
MOST_DAMAGED_PACKETS = 10_000
"""In a row; a file of nothing but damaged packets is not read to its end."""
MOST_UNUSABLE_PACKETS = 100
"""Packets with unusable channels, anywhere in the file."""
LOWEST_HZ, HIGHEST_HZ = 4_000, 768_000

CANNOT_BE_READ = f"This file cannot be read as audio. {ANOTHER}"
CANNOT_BE_OPENED = "The audio file cannot be opened. Upload it again."
_CUT_SHORT = "The audio file is cut short or damaged: its end is missing. Save or upload it again."
_EMPTY = "The audio file is empty: it holds 0 seconds of sound. Record or choose another one."


@dataclass(frozen=True, slots=True)
class DecodedClip:
    """``samples``: mono, 24 kHz, ``[n]`` with n > 0. ``length_sec``: length of the sound in the file.

    ``samples`` may be a little longer, since resampling pads its last block.
    """

    samples: Samples
    length_sec: float

    @property
    def length_samples(self) -> int:
        """The length of an answer that is as long as the clip, at least 1."""
        return max(1, round(self.length_sec * SAMPLE_RATE_HZ))


def read_clip(path: Path, max_sec: float) -> Samples:
    """The sound of the file at ``path``, as ``decode_clip`` returns it."""
    return decode_clip(path, max_sec).samples


def decode_clip(path: Path, max_sec: float) -> DecodedClip:
    """The sound of the file at ``path``, mono, 24 kHz.

    The mean of its channels, or the loudest one where they cancel each other out; resampled by
    ``sphn.resample``, so that the model hears what NVIDIA's reference hears.

    Raises InvalidInput for field ``audio`` when the file cannot be opened or decoded, holds no sound,
    was cut short, or is longer than ``max_sec`` (after at most ``max_sec`` of decoding).
    """
    try:
        with open_regular(path) as file:
            return decode_open_file(file, max_sec)
    except OSError as error:
        raise InvalidInput("audio", CANNOT_BE_OPENED) from error


def decode_open_file(file: BinaryIO, max_sec: float) -> DecodedClip:
    """Like ``decode_clip``, of a file that is open for reading and can be sought in."""
    try:
        if file.seek(0, 2) == 0:
            raise InvalidInput("audio", _EMPTY)
        return _decoded(file, max_sec)
    except FFmpegError as error:
        raise InvalidInput("audio", CANNOT_BE_READ) from error
    except OSError as error:
        raise InvalidInput("audio", CANNOT_BE_OPENED) from error


def write_wav(path: Path, samples: Samples) -> None:
    """Write ``samples`` ``[n]`` as a WAV of 16 bits, 24 kHz, mono. Raises OSError."""
    sound = to_pcm16(samples).tobytes()
    path.write_bytes(wav_header(1, len(sound)) + sound)


def to_pcm16(samples: Samples) -> npt.NDArray[np.int16]:
    """Float sound as 16-bit integers, clipped at full scale; NaN becomes silence."""
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


def _decoded(file: BinaryIO, max_sec: float) -> DecodedClip:
    if lacks_its_end(file):
        raise InvalidInput("audio", _CUT_SHORT)
    chunks = find_sound_chunks(file)
    sources = ogg_links(file) if chunks is None or chunks.straight else [straightened(file, chunks)]
    mixdown = Mixdown()
    clip = _decoded_once(sources, max_sec, mixdown)
    if mixdown.cancels:
        clip = _decoded_once(sources, max_sec, Mixdown(mixdown.loudest_channel))
    missing_sec = flac_length_sec(file) - clip.length_sec
    if missing_sec > max(0.5, MISSING_SHARE * (clip.length_sec + missing_sec)):
        raise InvalidInput("audio", _CUT_SHORT)
    return clip


def _decoded_once(sources: Sequence[BinaryIO], max_sec: float, mixdown: Mixdown) -> DecodedClip:
    """The decoded sound counts, not what the file claims."""
    timed = _Timed(max_sec)
    parts = list(mono_24k(timed.frames(_frames_of_all(sources, max_sec)), mixdown))
    if not timed.length_sec:
        raise InvalidInput("audio", _EMPTY)
    return DecodedClip(np.concatenate(parts), min(timed.length_sec, max_sec))


def _frames_of_all(sources: Sequence[BinaryIO], max_sec: float) -> Iterator[av.AudioFrame]:
    """All sources in order; a later one that cannot be read is skipped."""
    for number, source in enumerate(sources):
        try:
            yield from frames_of(source, max_sec)
        except (FFmpegError, InvalidInput):
            if number == 0:
                raise


def frames_of(file: BinaryIO, max_sec: float) -> Iterator[av.AudioFrame]:
    """The frames of the default track, or of the first track that has any, one packet after the other.

    Raises FFmpegError or InvalidInput: nothing can be decoded, or the file is surely longer than ``max_sec``.
    """
    size = file.seek(0, 2)
    file.seek(0)
    # Names and comments are often not UTF-8, and are not used here.
    options = {"format_whitelist": FORMATS}
    with av.open(QuietFile(file), "r", options=options, metadata_errors="replace") as container:
        if not container.streams.audio:
            raise InvalidInput("audio", f"There is no sound in this file. {ANOTHER}")
        # PyAV's types do not say that an unknown codec has no context.
        tracks = [track for track in container.streams.audio if cast(object, track.codec_context) is not None]
        if not tracks:
            raise InvalidInput("audio", CANNOT_BE_READ)
        tracks.sort(key=lambda track: not track.disposition & Disposition.default)
        certain_sec = _certain_sec(container, tracks[0], size)
        if certain_sec > max_sec + OVER_SEC:
            raise _too_long(max_sec, certain_sec)
        for number, track in enumerate(tracks[:MOST_TRACKS]):
            if number:
                container.seek(0)
            track.codec_context.options = {"max_samples": str(LARGEST_FRAME_SAMPLES)}
            frames = _frames(container, track)
            first = next(frames, None)
            if first is not None:
                yield first
                yield from frames
                return


def _certain_sec(container: InputContainer, stream: av.AudioStream, size: int) -> float:
    """The length of an uncompressed file, computed from its size.

    0 for others: the lengths they claim prove nothing, and they are decoded up to the limit.
    """
    if container.format.name not in UNCOMPRESSED or not stream.codec_context.name.startswith("pcm_"):
        return 0.0
    if stream.duration is None or stream.time_base is None or not stream.bit_rate:
        return 0.0
    return min(float(stream.duration * stream.time_base), 8 * size / stream.bit_rate)


class _Timed:
    """Counts the decoded seconds, cuts clips slightly too long, and refuses those far too long."""

    def __init__(self, max_sec: float) -> None:
        self._max_sec = max_sec
        self.length_sec = 0.0

    def frames(self, frames: Iterator[av.AudioFrame]) -> Iterator[tuple[Samples, int]]:
        """The sound ``[channels, n]`` of each frame, and its rate."""
        for frame in frames:
            rate_hz = frame.sample_rate
            if not LOWEST_HZ <= rate_hz <= HIGHEST_HZ:
                raise InvalidInput("audio", f"A sample rate of {rate_hz} Hz cannot be used. {ANOTHER}")
            left = max(0, round((self._max_sec - self.length_sec) * rate_hz))
            self.length_sec += frame.samples / rate_hz
            if self.length_sec > self._max_sec + OVER_SEC:
                raise _too_long(self._max_sec, None)
            if left:
                yield channels_of(frame)[:, :left], rate_hz


def _frames(container: InputContainer, stream: av.AudioStream) -> Iterator[av.AudioFrame]:
    """Decode packet by packet. A damaged packet is skipped, as players do; if the file cannot be read any
    further, the sound ends there. Raises FFmpegError or InvalidInput when nothing could be decoded."""
    decoded, damaged, unusable = False, 0, 0
    failed: FFmpegError | InvalidInput | None = None
    packets = container.demux(stream)
    while damaged < MOST_DAMAGED_PACKETS and unusable < MOST_UNUSABLE_PACKETS:
        try:
            packet = next(packets, None)
        except FFmpegError as error:
            packet, failed = None, error
        if packet is None:
            break
        try:
            frames = packet.decode()
            check_frames(frames)
        except (FFmpegError, InvalidInput) as error:  # unusable channels, too, are mostly damage
            unusable += isinstance(error, InvalidInput)
            failed, damaged = error, damaged + 1
            continue
        decoded, damaged = decoded or bool(frames), 0
        yield from frames
    if failed is not None and not decoded:
        raise failed


def _too_long(max_sec: float, claimed_sec: float | None) -> InvalidInput:
    length = "longer than that" if claimed_sec is None else _minutes(claimed_sec)
    return InvalidInput(
        "audio",
        f"A clip may be {_minutes(max_sec)} long (minutes:seconds); this one is {length}. Cut it shorter.",
    )


def _minutes(sec: float) -> str:
    return f"{int(sec) // 60}:{int(sec) % 60:02}"
