"""Finds the chunks of WAV and AIFF files, even where programs write them incorrectly.

Depends on names, sizes and offsets of chunks, not on their sound. A chunk of odd size must be followed by a
padding byte. Some programs omit it, and FFmpeg then loses track.
"""

import io
import struct
from dataclasses import dataclass
from typing import BinaryIO

from personaplex_ui.audio.files.spliced import Spliced

MOST_CHUNKS = 10_000
LARGEST_FORMAT_BYTES = 65_536

RIFF_FORMS = (b"RIFF", b"RF64", b"BW64")
_WAV_NAMES = (
    b"fmt ,data,LIST,fact,cue ,bext,iXML,JUNK,junk,PAD ,FLLR,smpl,inst,id3 ,ID3 ,PEAK,"
    b"cart,axml,chna,ds64,_PMX,acid,strc,plst,list,afsp,umid,DISP,note,wavl,slnt"
)
_AIFF_NAMES = b"COMM,SSND,FVER,MARK,INST,NAME,AUTH,(c) ,ANNO,CHAN,COMT,APPL,MIDI,AESD,FLLR"
KNOWN_NAMES = frozenset([*_WAV_NAMES.split(b","), *_AIFF_NAMES.split(b",")])


@dataclass(frozen=True, slots=True)
class SoundChunks:
    """Where the sound in a WAV or AIFF file is.

    ``sound_at`` is the offset of its first byte, ``promised`` the number of bytes its header states.
    ``format``: the content of the chunk that describes it. ``straight``: whether FFmpeg, which expects each
    chunk at its proper offset and trusts 64-bit lengths, can read the file unchanged.
    """

    form: bytes
    kind: bytes
    format: bytes
    sound_at: int
    promised: int
    straight: bool


def find_sound_chunks(file: BinaryIO) -> SoundChunks | None:
    """None if it is not a WAV or AIFF file, or its sound is not found."""
    file.seek(0)
    start = file.read(12)
    form, kind = start[:4], start[8:]
    if form in RIFF_FORMS and kind == b"WAVE":
        return _find(file, form, kind, "<", b"fmt ", b"data")
    if form == b"FORM" and kind in (b"AIFF", b"AIFC"):
        return _find(file, form, kind, ">", b"COMM", b"SSND")
    return None


def straightened(file: BinaryIO, chunks: SoundChunks) -> BinaryIO:
    """A file with only the format chunk and the sound of ``file``."""
    order, names = (">", (b"COMM", b"SSND")) if chunks.form == b"FORM" else ("<", (b"fmt ", b"data"))
    there = file.seek(0, 2) - chunks.sound_at
    size = min(chunks.promised, there) if 0 < chunks.promised < 0xFFFF_FFFF else there
    form = chunks.format + bytes(len(chunks.format) % 2)
    body = chunks.kind + names[0] + struct.pack(f"{order}I", len(chunks.format)) + form + names[1]
    body += struct.pack(f"{order}I", min(size, 0xFFFF_FFFF))
    whole = min(len(body) + size, 0xFFFF_FFFF)
    head = (b"FORM" if order == ">" else b"RIFF") + struct.pack(f"{order}I", whole) + body
    return io.BufferedReader(Spliced(head, file, chunks.sound_at, size))


def _find(
    file: BinaryIO, form: bytes, kind: bytes, order: str, format_name: bytes, sound_name: bytes
) -> SoundChunks | None:
    description, long_size, straight, at = b"", None, form not in (b"RF64", b"BW64"), 12
    for _ in range(MOST_CHUNKS):
        file.seek(at)
        header = file.read(8)
        if len(header) < 8:
            return None
        name, size = header[:4], struct.unpack(f"{order}I", header[4:])[0]
        if name == sound_name:
            straight = straight and size > 0  # FFmpeg takes an AIFF of 0 bytes at its word
            promised = long_size if size == 0xFFFF_FFFF and long_size is not None else size
            return SoundChunks(form, kind, description, at + 8, promised, straight) if description else None
        if name == format_name and size <= LARGEST_FORMAT_BYTES:
            description = file.read(size)
        if name == b"ds64" and size >= 16:
            long_size = struct.unpack("<Q", file.read(16)[8:].ljust(8, b"\0"))[0]
        at += 8 + size
        if size % 2:
            padded = _is_padded(file, at)
            straight = straight and padded
            at += padded
    return None


def _is_padded(file: BinaryIO, at: int) -> bool:
    """Whether the next chunk's name is one byte after ``at``, as it must be, rather than at ``at``."""
    file.seek(at)
    near = file.read(5)
    late, early = near[1:5], near[:4]
    if late in KNOWN_NAMES or early in KNOWN_NAMES:
        return late in KNOWN_NAMES
    return _could_be_name(late) or not _could_be_name(early)


def _could_be_name(name: bytes) -> bool:
    return len(name) == 4 and all(0x20 <= byte < 0x7F for byte in name)
