"""Detects that the end of a sound file is missing, but only if the file itself states where it must end.

Depends on container headers; decodes nothing. Most lengths that files carry are guesses, or belong to another
stream, and prove nothing: FFmpeg's length of an MP3 without Xing or VBRI; the length of a Matroska file,
which may be that of its video. Only bytes that a header promises and the file lacks count.
"""

import struct
from collections.abc import Callable
from typing import BinaryIO

from personaplex_ui.audio.files.chunks import find_sound_chunks

LARGEST_PROMISE_BYTES = 64 * 1024 * 1024
"""The default size limit of an upload. A program that streams a WAV cannot know its length and writes some
huge number: 2e9, 0x7FFFF000, 0xFFFFFFFF."""

MISSING_BYTES = 4_096
"""Less than this is not missing sound: programs miscount their headers and padding."""

LONGEST_OGG_PAGE_BYTES = 65_307
MOST_PARTS = 10_000
"""A file with more boxes, chunks or tags is not searched further."""
MP3_SEARCHED_BYTES = 65_536


def lacks_its_end(file: BinaryIO) -> bool:
    """Whether the file lacks bytes that its own headers promise."""
    size = file.seek(0, 2)
    file.seek(0)
    start = file.read(12)
    if start[:4] == b"OggS":
        return _last_page_is_broken(file, size)
    if start[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return _media_is_broken(file, size)
    if start[:4] == b"\x1a\x45\xdf\xa3":
        end = _end_of_segment(file)
    elif start[:4] == b"riff":
        end = _end_of_data(file, size, 40, 24, lambda header: int.from_bytes(header[16:], "little"), 8)
    elif start[:4] == b"caff":
        end = _end_of_data(
            file, size, 8, 12, lambda header: 12 + int.from_bytes(header[4:], "big", signed=True)
        )
    elif start[:4] == b".snd" and len(start) == 12:
        at, length = struct.unpack(">II", start[4:])
        end = at + length
    elif start[:3] == b"ID3" or start[:1] == b"\xff":
        end = _end_of_mp3(file)
    else:
        chunks = find_sound_chunks(file)
        end = chunks.sound_at + chunks.promised if chunks else 0
    return size + MISSING_BYTES < end <= LARGEST_PROMISE_BYTES


def flac_length_sec(file: BinaryIO) -> float:
    """The length a FLAC file claims; 0 if it claims none or is not FLAC."""
    at = _after_id3(file)
    file.seek(at)
    info = file.read(26)
    if info[:4] != b"fLaC" or len(info) < 26:
        return 0.0
    rate_hz = int.from_bytes(info[18:21], "big") >> 4
    samples = int.from_bytes(info[21:26], "big") & 0xF_FFFF_FFFF
    return samples / rate_hz if rate_hz else 0.0


def _last_page_is_broken(file: BinaryIO, size: int) -> bool:
    """In an Ogg file only the last page can be incomplete."""
    file.seek(max(0, size - LONGEST_OGG_PAGE_BYTES))
    end = file.read()
    at = end.rfind(b"OggS\0")
    if at < 0:  # something else was appended
        return False
    page = end[at:]
    segments = page[26] if len(page) > 26 else 255
    return len(page) < 27 + segments + sum(page[27 : 27 + segments])


def _media_is_broken(file: BinaryIO, size: int) -> bool:
    """For MP4: whether the last media box is incomplete, or is missing after the index of a fragment."""
    at, broken = 0, False
    for _ in range(MOST_PARTS):
        file.seek(at)
        header = file.read(16)
        if len(header) < 8:
            break
        name, length = header[4:8], int.from_bytes(header[:4], "big")
        if length == 1 and len(header) == 16:
            length = int.from_bytes(header[8:], "big")
        if length < 8:  # 0: up to the end of the file
            return False
        at += length
        if name in (b"mdat", b"moof"):
            broken = name == b"moof" or size < at <= LARGEST_PROMISE_BYTES
        if at >= size:
            break
    return broken


def _end_of_segment(file: BinaryIO) -> int:
    """For Matroska; 0 if the length is unknown, as in every live recording."""
    file.seek(4)
    length = _ebml_number(file)
    if length is None:
        return 0
    file.seek(length, 1)
    if file.read(4) != b"\x18\x53\x80\x67":
        return 0
    length = _ebml_number(file)
    return 0 if length is None else file.tell() + length


def _ebml_number(file: BinaryIO) -> int | None:
    first = file.read(1)
    if not first or not first[0]:
        return None
    more = 8 - first[0].bit_length()
    number = int.from_bytes(bytes([first[0] ^ (0x80 >> more)]) + file.read(more), "big")
    return None if number == (1 << 7 * (more + 1)) - 1 else number


def _end_of_data(
    file: BinaryIO,
    size: int,
    at: int,
    header_bytes: int,
    length_of: Callable[[bytes], int],
    aligned_bytes: int = 1,
) -> int:
    """The end of the chunk ``data``; the first chunk is at ``at``. ``length_of``: a chunk's, with its
    header."""
    for _ in range(MOST_PARTS):
        if at >= size:  # possibly further than seeking allows
            break
        file.seek(at)
        header = file.read(header_bytes)
        if len(header) < header_bytes or (length := length_of(header)) < header_bytes:
            break
        if header[:4] == b"data":
            return at + length
        at += -(-length // aligned_bytes) * aligned_bytes
    return 0


def _end_of_mp3(file: BinaryIO) -> int:
    """From the byte count in a Xing, Info or VBRI header; 0 if there is none."""
    at = _after_id3(file)
    file.seek(at)
    head = file.read(MP3_SEARCHED_BYTES)
    first = next((n for n in range(len(head) - 4) if head[n] == 0xFF and _is_mp3_header(head[n : n + 4])), -1)
    if first < 0:
        return 0
    frame = head[first:]
    version_1, is_mono = frame[1] & 0x18 == 0x18, frame[3] >> 6 == 3
    side = (17 if is_mono else 32) if version_1 else (9 if is_mono else 17)
    if not frame[1] & 1:  # a checksum follows the header
        side += 2 * (frame[4 + side : 8 + side] not in (b"Xing", b"Info"))
    xing = frame[4 + side : 20 + side]
    if xing[:4] in (b"Xing", b"Info") and len(xing) == 16 and xing[7] & 2:
        counted = xing[12:16] if xing[7] & 1 else xing[8:12]
        return at + first + int.from_bytes(counted, "big")
    if frame[36:40] == b"VBRI":
        return at + first + int.from_bytes(frame[46:50], "big")
    return 0


def _is_mp3_header(header: bytes) -> bool:
    return header[1] & 0xE6 == 0xE2 and header[2] >> 4 != 15 and header[2] & 0x0C != 0x0C


def _after_id3(file: BinaryIO) -> int:
    """Where the tags before the sound end; there may be several tags."""
    at = 0
    for _ in range(MOST_PARTS):
        file.seek(at)
        tag = file.read(10)
        if tag[:3] != b"ID3" or len(tag) < 10:
            return at
        length = 0
        for byte in tag[6:]:
            length = length << 7 | byte & 0x7F
        at += 10 + length + (10 if tag[5] & 0x10 else 0)
    return at
