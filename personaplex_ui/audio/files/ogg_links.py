"""The links of a chained Ogg file: whole streams, one behind the other, as in joined files and radio.

Knows pages; no codecs. FFmpeg reads a chain only as long as codec, channels and rate stay what they were.
"""

import io
from typing import BinaryIO

from personaplex_ui.audio.files.spliced import Spliced

MOST_PAGES = 200_000
MOST_LINKS = 1_000
HEADER_BYTES = 27
FIRST_PAGE_OF_A_STREAM = 2


def ogg_links(file: BinaryIO) -> list[BinaryIO]:
    """``file`` itself where it is no Ogg file or has one link only."""
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
    """Where a first page follows on one that is none: streams that begin side by side are one link."""
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
