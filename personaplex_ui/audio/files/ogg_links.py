"""The links of a chained Ogg file: whole streams in sequence, as in concatenated files and radio.

Depends on pages, not on codecs. FFmpeg reads a chain only while codec, channels and rate stay the same.
"""

import io
from typing import BinaryIO

from personaplex_ui.audio.files.spliced import Spliced

MOST_PAGES = 200_000
MOST_LINKS = 1_000
HEADER_BYTES = 27
FIRST_PAGE_OF_A_STREAM = 2


def ogg_links(file: BinaryIO) -> list[BinaryIO]:
    """``file`` itself if it is not an Ogg file or has only one link."""
    size = file.seek(0, 2)
    starts = _starts(file)
    if len(starts) < 2:
        return [file]
    ends = [*starts[1:], size]
    return [
        io.BufferedReader(Spliced(b"", file, start, end - start))
        for start, end in zip(starts, ends, strict=True)
    ]


def _starts(file: BinaryIO) -> list[int]:
    """Offsets of first pages that follow an ordinary page: streams that begin together are one link."""
    starts: list[int] = []
    at, was_first = 0, False
    for _ in range(MOST_PAGES):
        file.seek(at)
        header = file.read(HEADER_BYTES)
        if len(header) < HEADER_BYTES or header[:5] != b"OggS\0":
            break
        is_first = bool(header[5] & FIRST_PAGE_OF_A_STREAM)
        if is_first and not was_first:
            if len(starts) == MOST_LINKS:
                break
            starts.append(at)
        was_first = is_first
        at += HEADER_BYTES + header[26] + sum(file.read(header[26]))
    return starts
