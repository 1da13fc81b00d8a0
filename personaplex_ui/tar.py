"""Unpacks untrusted tar archives, gzipped or plain: POSIX pax and ustar, GNU and v7.

Extracts regular files only. Names, kinds and sizes are checked before a byte is written, and the archive
never decides where. ``tarfile`` is not used: its filters came with Python 3.11.4, and it reads headers of any
size into memory.

Depends on the format, not on the purpose of the files.
"""

import gzip
import re
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO, cast

BLOCK = 512
REGULAR, FOLDER, PAX, PAX_GLOBAL, GNU_NAME, GNU_LINK_NAME = b"0\x007", b"5", b"x", b"g", b"L", b"K"
EXTENSIONS = (PAX, PAX_GLOBAL, GNU_NAME, GNU_LINK_NAME)
LINKS_AND_DEVICES = b"12346"

PIECE_BYTES = 1 << 16
MAX_EXTENSION_BYTES = 1 << 16
"""The limit for one extended header, which holds a long name or attributes."""

MAX_HEADERS_BYTES = 16_000_000
"""The limit for everything but file contents: headers, padding and the end."""

MAX_NAME_BYTES = 1_024
MAX_PART_BYTES = 255

DAMAGED = "is damaged or not a tar archive"
TOO_MUCH = "holds too much"


class ArchiveUnusable(Exception):
    """The archive cannot be used. The message completes a sentence that begins with the archive's name."""


@dataclass(frozen=True, slots=True)
class Limits:
    """``members`` includes folders."""

    members: int
    file_bytes: int
    total_bytes: int


def extract_tar(
    archive: Path, folder: Path, limits: Limits, target: Callable[[PurePosixPath], str | None]
) -> None:
    """Write the files of ``archive`` into ``folder``, which must be new and empty.

    ``target``: returns the path within ``folder`` for a member's name, or None to skip the member.

    Raises:
        ArchiveUnusable: the archive cannot be used. Files already written stay.
        OSError: the disk failed.
    """
    if archive.stat().st_size > limits.total_bytes:
        raise ArchiveUnusable(TOO_MUCH)
    with archive.open("rb") as file:
        is_zipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        stream = cast(BinaryIO, gzip.GzipFile(fileobj=file)) if is_zipped else file
        source = _Source(stream, limits.total_bytes + MAX_HEADERS_BYTES)
        names, total = _Names(), 0
        for count, (kind, raw_name, size) in enumerate(_members(source, 4 * limits.members), start=1):
            if count > limits.members:
                raise ArchiveUnusable(f"holds more than {limits.members:,} files")
            path = _checked_path(kind, raw_name, size)
            total += size
            if size > limits.file_bytes or total > limits.total_bytes:
                raise ArchiveUnusable(f"{TOO_MUCH}: {str(path)[:100]!r} has {size:,} bytes")
            place = target(path) if path is not None else None
            if place is None:
                for _ in source.content(size):
                    pass
                continue
            names.add(PurePosixPath(place))
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            with (folder / place).open("xb") as written:
                for piece in source.content(size):
                    written.write(piece)


class _Source:
    """The uncompressed archive, read once from beginning to end."""

    def __init__(self, stream: BinaryIO, limit: int) -> None:
        self._stream = stream
        self._left = limit

    def read(self, size: int) -> bytes:
        """All of ``size`` bytes, or fewer at the end."""
        self._left -= size
        if self._left < 0:
            raise ArchiveUnusable(TOO_MUCH)
        try:
            return self._stream.read(size)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ArchiveUnusable(DAMAGED) from error

    def content(self, size: int) -> Iterator[bytes]:
        """``size`` bytes in pieces; also reads the padding up to a whole block."""
        for start in range(0, size, PIECE_BYTES):
            piece = self.read(min(PIECE_BYTES, size - start))
            _expect(len(piece) == min(PIECE_BYTES, size - start))
            yield piece
        _expect(len(self.read(-size % BLOCK)) == -size % BLOCK)

    def read_to_end(self) -> None:
        """gzip checks its checksum only at the end."""
        while piece := self.read(PIECE_BYTES):
            _expect(not piece.strip(b"\0"))


class _Names:
    """The files written so far. Some file systems treat names as equal that differ in case or in the encoding
    of accents; such names are refused everywhere."""

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._folders: set[str] = set()

    def add(self, path: PurePosixPath) -> None:
        name, *folders = (
            unicodedata.normalize("NFC", str(each)).casefold() for each in (path, *path.parents[:-1])
        )
        if name in self._files or name in self._folders or not self._files.isdisjoint(folders):
            raise ArchiveUnusable(f"holds {str(path)!r} twice, ignoring case")
        self._files.add(name)
        self._folders.update(folders)


def _members(source: _Source, most_headers: int) -> Iterator[tuple[bytes, bytes, int]]:
    """Kind, name and size of each member; the caller reads its content before it asks for the next."""
    name: bytes | None = None
    size: int | None = None
    for number in range(most_headers):
        header = source.read(BLOCK)
        if len(header) < BLOCK or not header.strip(b"\0"):
            is_empty = not header and number == 0
            _expect(not (is_empty or header.strip(b"\0") or name is not None or size is not None))
            source.read_to_end()
            return
        kind, header_size = _kind_and_size(header)
        if kind not in EXTENSIONS:
            yield kind, _name(header) if name is None else name, header_size if size is None else size
            name = size = None
            continue
        _expect(header_size <= MAX_EXTENSION_BYTES)
        extension = b"".join(source.content(header_size))
        if kind == GNU_NAME:
            name = extension.partition(b"\0")[0]
        elif kind in (PAX, PAX_GLOBAL):
            attributes = _pax_attributes(extension)
            if kind == PAX_GLOBAL and attributes.keys() & {b"path", b"size"}:
                raise ArchiveUnusable("gives all its files the same name or size")
            name = attributes.get(b"path", name)
            if b"size" in attributes:
                _expect(re.fullmatch(rb"[0-9]{1,19}", attributes[b"size"]))
                size = int(attributes[b"size"])
    raise ArchiveUnusable(f"holds more than {most_headers:,} headers")


def _kind_and_size(header: bytes) -> tuple[bytes, int]:
    _expect(_octal(header[148:156]) == sum(header[:148]) + 8 * ord(" ") + sum(header[156:]))
    field = header[124:136]
    # The first bit marks a binary number; it is in two's complement, so 0xff begins a negative one.
    size = int.from_bytes(field[1:], "big") if field[0] == 0x80 else _octal(field)
    return header[156:157], size


def _octal(field: bytes) -> int:
    digits = field.strip(b" \0")
    _expect(re.fullmatch(rb"[0-7]*", digits))
    return int(digits or b"0", 8)


def _name(header: bytes) -> bytes:
    name = header[:100].partition(b"\0")[0]
    prefix = header[345:500].partition(b"\0")[0] if header[257:263] == b"ustar\0" else b""
    return prefix + b"/" + name if prefix else name


def _pax_attributes(data: bytes) -> dict[bytes, bytes]:
    """Records of ``LENGTH KEY=VALUE`` and a line break; the length includes its own digits."""
    attributes: dict[bytes, bytes] = {}
    data = data.rstrip(b"\0")
    start = 0
    while start < len(data):
        found = re.compile(rb"([1-9][0-9]{0,6}) ([^=\n]{1,200})=").match(data, start)
        end = start + int(found[1]) if found else 0
        if found is None or not found.end() < end <= len(data) or data[end - 1 : end] != b"\n":
            raise ArchiveUnusable(DAMAGED)
        if found[2].startswith(b"GNU.sparse."):
            raise ArchiveUnusable("holds a sparse file, which is not a regular one")
        attributes[found[2]] = data[found.end() : end - 1]
        start = end
    return attributes


def _checked_path(kind: bytes, raw_name: bytes, size: int) -> PurePosixPath | None:
    """The checked path of a regular file; None for a folder."""
    try:
        name = raw_name.decode()
    except UnicodeDecodeError:
        raise ArchiveUnusable(f"holds {raw_name[:100]!r}, a name that is not UTF-8") from None
    path = PurePosixPath(name)
    is_folder = kind == FOLDER or (kind == b"\0" and name.endswith("/"))
    is_long = len(raw_name) > MAX_NAME_BYTES or any(len(p.encode()) > MAX_PART_BYTES for p in path.parts)
    trouble = None
    if kind in LINKS_AND_DEVICES:
        trouble = "which is a link or a device"
    elif not is_folder and kind not in REGULAR:
        trouble = "which is not a regular file"
    elif path.is_absolute() or ".." in path.parts or "\\" in name or PureWindowsPath(name).drive:
        trouble = "which leads out of its folder"
    elif is_long or re.search(r"[\0-\x1f\x7f]", name) or not (is_folder or path.parts):
        trouble = "a name that cannot be used"
    if trouble:
        raise ArchiveUnusable(f"holds {name[:100]!r}, {trouble}")
    _expect(not (is_folder and size))
    return None if is_folder else path


def _expect(condition: object) -> None:
    """Raise ArchiveUnusable if the archive breaks the format."""
    if not condition:
        raise ArchiveUnusable(DAMAGED)
