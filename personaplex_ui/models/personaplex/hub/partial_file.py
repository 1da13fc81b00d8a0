"""A large file of the hub's cache while it arrives in parts, in any order.

It is stored beside its final place. A second file counts the bytes of each part and is updated after each
piece, so that the process may be killed at any time and nothing is downloaded twice. Its name is unknown to
the hub's client, which would mistake it for the beginning of the file.
"""

import os
import struct
from pathlib import Path
from types import TracebackType
from typing import Self

MIN_PART_BYTES, MAX_PART_BYTES = 1 << 20, 32 << 20
PARTS = 32
"""The number of parts, if the limits allow it: several per connection, since some are slower than others."""

_HEADER = struct.Struct("<8sQQ")
_MAGIC = b"PARTS 1\n"
_COUNT_BYTES = 4


def arrived_bytes(blob: Path, size: int) -> int:
    """How much of ``blob`` is there, in any form; ``size``: of the whole file. Thread-safe, even during the
    download."""
    # In the order in which a file moves, so that it is never missed between two places.
    single = _size(_single_path(blob))
    counts = _read_counts(blob, size)
    return min(size, max(single, sum(counts or [0]), _size(blob)))


def discard_parts(blob: Path) -> None:
    _counts_path(blob).unlink(missing_ok=True)
    _parts_path(blob).unlink(missing_ok=True)


def discard_all_parts(folder: Path) -> None:
    """Of all files in ``folder``, those that the hub's client has begun among them."""
    for part in (*folder.glob("*.incomplete"), *folder.glob("*.parts.counts")):
        part.unlink(missing_ok=True)


class PartialFile:
    """``with PartialFile(blob, size) as file`` resumes what is there. Only one process may use it. Several
    threads may call its methods, but each part only one at a time.

    The constructor and all methods raise OSError.
    """

    def __init__(self, blob: Path, size: int) -> None:
        self._blob = blob
        self.size = size
        self._parts = _parts_of(size)
        blob.parent.mkdir(parents=True, exist_ok=True)
        self._arrived = _read_counts(blob, size) or self._begin()
        self._data = os.open(_parts_path(blob), os.O_WRONLY)
        self._counts = os.open(_counts_path(blob), os.O_WRONLY)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._data)
        os.close(self._counts)

    def _begin(self) -> list[int]:
        """Start with an empty file, or with the beginning that the hub's client has downloaded."""
        discard_parts(self._blob)
        single = _single_path(self._blob)
        there = _size(single)
        if there > self.size:  # not the beginning of this file
            single.unlink()
            there = 0
        counts = [max(0, min(there - part.start, len(part))) for part in self._parts]
        content = _header(self.size) + struct.pack(f"<{len(counts)}I", *counts)
        _counts_path(self._blob).write_bytes(content)  # valid once the other file exists
        if there:
            os.replace(single, _parts_path(self._blob))
        else:
            _parts_path(self._blob).touch()
        return counts

    def missing_parts(self) -> list[int]:
        """The numbers of the incomplete parts."""
        return [n for n, part in enumerate(self._parts) if self._arrived[n] < len(part)]

    def missing_range(self, part: int) -> tuple[int, int]:
        """The missing bytes of ``part``: from the first up to, but not including, the second."""
        return self._parts[part].start + self._arrived[part], self._parts[part].stop

    def append(self, part: int, piece: bytes) -> None:
        """Write the next bytes of ``part``."""
        start, end = self.missing_range(part)
        assert len(piece) <= end - start, "no part reaches into the next"
        left = memoryview(piece)
        while left:
            written = os.pwrite(self._data, left, start)
            left, start = left[written:], start + written
        self._arrived[part] += len(piece)
        place = _HEADER.size + part * _COUNT_BYTES
        os.pwrite(self._counts, struct.pack("<I", self._arrived[part]), place)

    def finish(self) -> None:
        """Move the complete file to its final place."""
        os.replace(_parts_path(self._blob), self._blob)
        _counts_path(self._blob).unlink(missing_ok=True)


def _parts_path(blob: Path) -> Path:
    return blob.with_name(f"{blob.name}.parts.incomplete")


def _counts_path(blob: Path) -> Path:
    return blob.with_name(f"{blob.name}.parts.counts")


def _single_path(blob: Path) -> Path:
    """The path to which the hub's client writes, from the beginning on."""
    return blob.with_name(f"{blob.name}.incomplete")


def _part_bytes(size: int) -> int:
    return min(MAX_PART_BYTES, max(MIN_PART_BYTES, size // PARTS))


def _parts_of(size: int) -> list[range]:
    length = _part_bytes(size)
    return [range(start, min(start + length, size)) for start in range(0, size, length)]


def _header(size: int) -> bytes:
    return _HEADER.pack(_MAGIC, size, _part_bytes(size))


def _read_counts(blob: Path, size: int) -> list[int] | None:
    """The bytes of each part that have arrived; None if there are none or they belong to another file."""
    try:
        content = _counts_path(blob).read_bytes()
        if _parts_path(blob).stat().st_size > size:
            return None
    except FileNotFoundError:
        return None
    parts = _parts_of(size)
    if len(content) != _HEADER.size + len(parts) * _COUNT_BYTES or not content.startswith(_header(size)):
        return None
    counts = struct.unpack_from(f"<{len(parts)}I", content, _HEADER.size)
    fits = all(count <= len(part) for count, part in zip(counts, parts, strict=True))
    return list(counts) if fits else None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
