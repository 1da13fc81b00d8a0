"""Unpacks tar archives that nobody vouches for, gzipped or plain.

Only regular files are taken. Names, kinds and sizes are checked before a byte is written, and nothing in the
archive decides where that is.

Depends on the format, not on what the files are for.
"""

import gzip
import re
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO, cast

from personaplex_ui.tar.headers import (
    BLOCK,
    FOLDER,
    GNU_LINK_NAME,
    GNU_NAME,
    LINKS_AND_DEVICES,
    PAX,
    PAX_GLOBAL,
    REGULAR,
    ArchiveDamaged,
    ArchiveTooLarge,
    ArchiveUnusable,
    decimal,
    kind_and_size,
    name_of,
    pax_attributes,
)

PIECE_BYTES = 1 << 16
MAX_HEADER_BYTES = 1 << 16
"""Of one extended header, which holds a long name or attributes."""

MAX_HEADERS_BYTES = 16_000_000
"""Of all that is no content: headers, padding and the end."""

MAX_NAME_BYTES = 1_024
MAX_PART_BYTES = 255


@dataclass(frozen=True, slots=True)
class Limits:
    """``members`` counts folders too."""

    members: int
    file_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class _Member:
    name: str
    size: int
    is_folder: bool


def extract_tar(
    archive: Path, folder: Path, limits: Limits, target: Callable[[PurePosixPath], str | None]
) -> None:
    """Write the files of ``archive`` into ``folder``, which must be new and empty.

    ``target``: the path within ``folder`` for a file of this name, or None for one that is left out.

    Raises:
        ArchiveUnusable: see there. What was written by then stays.
        OSError: of the disk.
    """
    with archive.open("rb") as file:
        if archive.stat().st_size > limits.total_bytes:
            raise ArchiveTooLarge
        zipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        stream = cast(BinaryIO, gzip.GzipFile(fileobj=file)) if zipped else file
        source = _Source(stream, limits.total_bytes + MAX_HEADERS_BYTES)
        names = _Names()
        total = 0
        for count, member in enumerate(_members(source, 4 * limits.members), start=1):
            if count > limits.members:
                raise ArchiveUnusable(f"holds more than {limits.members:,} files")
            path = _checked(member)
            total += member.size
            if member.size > limits.file_bytes or total > limits.total_bytes:
                raise ArchiveTooLarge(member.name[:100], member.size)
            place = None if member.is_folder else target(path)
            if place is None:
                for _ in source.content(member.size):
                    pass
                continue
            names.add(PurePosixPath(place))
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            with (folder / place).open("xb") as written:
                for piece in source.content(member.size):
                    written.write(piece)


class _Source:
    """What the archive holds once it is unzipped, read once from its beginning to its end."""

    def __init__(self, stream: BinaryIO, limit: int) -> None:
        self._stream = stream
        self._left = limit

    def read(self, size: int) -> bytes:
        """All of ``size`` bytes, or fewer at the end."""
        self._left -= size
        if self._left < 0:
            raise ArchiveTooLarge
        try:
            return self._stream.read(size)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ArchiveDamaged from error

    def content(self, size: int) -> Iterator[bytes]:
        """``size`` bytes in pieces; then what pads them to whole blocks is read too."""
        for start in range(0, size, PIECE_BYTES):
            piece = self.read(min(PIECE_BYTES, size - start))
            if len(piece) < min(PIECE_BYTES, size - start):
                raise ArchiveDamaged
            yield piece
        if len(self.read(-size % BLOCK)) < -size % BLOCK:
            raise ArchiveDamaged

    def read_to_end(self) -> None:
        """Only at its end can gzip tell whether all was as it should be."""
        while piece := self.read(PIECE_BYTES):
            if piece.strip(b"\0"):
                raise ArchiveDamaged


class _Names:
    """The files written so far. Some disks take names for the same that differ in case or in their accents'
    encoding; such names are refused everywhere."""

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._folders: set[str] = set()

    def add(self, path: PurePosixPath) -> None:
        name, *folders = (
            unicodedata.normalize("NFC", str(each)).casefold() for each in (path, *path.parents[:-1])
        )
        if name in self._files or name in self._folders or not self._files.isdisjoint(folders):
            raise ArchiveUnusable(f"holds {str(path)!r} twice, capital or not")
        self._files.add(name)
        self._folders.update(folders)


def _members(source: _Source, most_headers: int) -> Iterator[_Member]:
    """The caller reads the content of each before it asks for the next."""
    name: bytes | None = None
    size: int | None = None
    for number in range(most_headers):
        header = source.read(BLOCK)
        if len(header) < BLOCK or not header.strip(b"\0"):
            empty = not header and number == 0
            if empty or header.strip(b"\0") or name is not None or size is not None:
                raise ArchiveDamaged
            source.read_to_end()
            return
        kind, header_size = kind_and_size(header)
        if kind in (PAX, PAX_GLOBAL, GNU_NAME, GNU_LINK_NAME):
            if header_size > MAX_HEADER_BYTES:
                raise ArchiveDamaged
            extension = b"".join(source.content(header_size))
            if kind in (PAX, PAX_GLOBAL):
                attributes = pax_attributes(extension)
                if kind == PAX_GLOBAL and attributes.keys() & {b"path", b"size"}:
                    raise ArchiveUnusable("gives all its files the same name or size")
                name = attributes.get(b"path", name)
                size = decimal(attributes[b"size"]) if b"size" in attributes else size
            elif kind == GNU_NAME:
                name = extension.partition(b"\0")[0]
            continue
        yield _member(kind, name_of(header) if name is None else name, header_size if size is None else size)
        name = size = None
    raise ArchiveUnusable(f"holds more than {most_headers:,} headers")


def _member(kind: bytes, raw_name: bytes, size: int) -> _Member:
    try:
        name = raw_name.decode()
    except UnicodeDecodeError:
        raise ArchiveUnusable(f"holds {raw_name[:100]!r}, a name that is not UTF-8") from None
    if kind in LINKS_AND_DEVICES:
        raise ArchiveUnusable(f"holds {name[:100]!r}, which is a link or a device")
    is_folder = kind == FOLDER or (kind == b"\0" and name.endswith("/"))
    if not is_folder and kind not in REGULAR:
        raise ArchiveUnusable(f"holds {name[:100]!r}, which is not a regular file")
    if is_folder and size:
        raise ArchiveDamaged
    return _Member(name, size, is_folder)


def _checked(member: _Member) -> PurePosixPath:
    name = member.name
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or PureWindowsPath(name).drive:
        raise ArchiveUnusable(f"holds {name[:100]!r}, which leads out of its folder")
    long = len(name.encode()) > MAX_NAME_BYTES or any(len(p.encode()) > MAX_PART_BYTES for p in path.parts)
    if long or re.search(r"[\0-\x1f\x7f]", name) or (not member.is_folder and not path.parts):
        raise ArchiveUnusable(f"holds {name[:100]!r}, a name that cannot be used")
    return path
