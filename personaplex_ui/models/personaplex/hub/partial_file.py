"""A large file of the hub's cache while it arrives in parts, in any order.

It lies beside its place. A second file counts what has arrived of each part and is written after each piece,
so that the process may be killed at any time and nothing is fetched twice. The hub's client would take such a
file for a beginning, so that its name is not one that the client knows.
"""

import os
import struct
from pathlib import Path
from types import TracebackType
from typing import Self

MIN_PART_BYTES, MAX_PART_BYTES = 1 << 20, 32 << 20
PARTS = 32
"""As many as this, where the limits allow it: several for each connection, as some are slower than others."""

_HEADER = struct.Struct("<8sQQ")
_MAGIC = b"PARTS 1\n"
_COUNT_BYTES = 4


def parts_path(blob: Path) -> Path:
    return blob.with_name(f"{blob.name}.parts.incomplete")


def counts_path(blob: Path) -> Path:
    return blob.with_name(f"{blob.name}.parts.counts")


def single_path(blob: Path) -> Path:
    """Where the hub's client writes, from the beginning on."""
    return blob.with_name(f"{blob.name}.incomplete")


def arrived_bytes(blob: Path, size: int) -> int:
    """What is there of ``blob``, in whatever form; ``size``: of the whole. May be asked from any thread, also
    while it is fetched."""
    # In the order in which a file moves, so that it is never missed between two places.
    single = _size(single_path(blob))
    counts = _read_counts(blob, size)
    return min(size, max(single, sum(counts[1]) if counts else 0, _size(blob)))


def discard_parts(blob: Path) -> None:
    counts_path(blob).unlink(missing_ok=True)
    parts_path(blob).unlink(missing_ok=True)


class PartialFile:
    """``with PartialFile(blob, size) as file``: goes on with what is there. Only one process may do so. Its
    methods may be called from several threads, each part by one of them at a time.

    Raises OSError, there and in each method.
    """

    def __init__(self, blob: Path, size: int) -> None:
        self._blob = blob
        self.size = size
        blob.parent.mkdir(parents=True, exist_ok=True)
        found = _read_counts(blob, size)
        if found is None:
            self.part_bytes = min(MAX_PART_BYTES, max(MIN_PART_BYTES, size // PARTS))
            self._begin()
            found = _read_counts(blob, size)
            assert found is not None, "it was just written"
        self.part_bytes, self._arrived = found
        self._data = os.open(parts_path(blob), os.O_WRONLY)
        self._counts = os.open(counts_path(blob), os.O_WRONLY)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._data)
        os.close(self._counts)

    def _begin(self) -> None:
        """An empty file, or the beginning that the hub's client has fetched."""
        discard_parts(self._blob)
        single = single_path(self._blob)
        there = _size(single)
        if there > self.size:  # no beginning of this file
            single.unlink()
            there = 0
        starts = range(0, self.size, self.part_bytes)
        counts = [max(0, min(there - start, self.part_bytes, self.size - start)) for start in starts]
        content = _HEADER.pack(_MAGIC, self.size, self.part_bytes) + struct.pack(f"<{len(counts)}I", *counts)
        counts_path(self._blob).write_bytes(content)  # these count from when the other file is there
        if there:
            os.replace(single, parts_path(self._blob))
        else:
            parts_path(self._blob).touch()

    def missing_parts(self) -> list[int]:
        return [part for part, arrived in enumerate(self._arrived) if arrived < self._length(part)]

    def missing_range(self, part: int) -> tuple[int, int]:
        """The first byte that is missing of ``part``, and the first one behind it."""
        start = part * self.part_bytes
        return start + self._arrived[part], start + self._length(part)

    def append(self, part: int, piece: bytes) -> None:
        """The next bytes of ``part``."""
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
        """All parts are there: put the file in its place."""
        os.replace(parts_path(self._blob), self._blob)
        counts_path(self._blob).unlink(missing_ok=True)

    def _length(self, part: int) -> int:
        return min(self.part_bytes, self.size - part * self.part_bytes)


def _read_counts(blob: Path, size: int) -> tuple[int, list[int]] | None:
    """The size of the parts and what has arrived of each; None where there are none, or of another file."""
    try:
        content = counts_path(blob).read_bytes()
        if parts_path(blob).stat().st_size > size or len(content) < _HEADER.size:
            return None
    except FileNotFoundError:
        return None
    magic, announced, part_bytes = _HEADER.unpack_from(content)
    if magic != _MAGIC or announced != size or not 0 < part_bytes < 1 << 32:
        return None
    starts = range(0, size, part_bytes)
    if len(content) != _HEADER.size + len(starts) * _COUNT_BYTES:
        return None
    counts = struct.unpack_from(f"<{len(starts)}I", content, _HEADER.size)
    if any(count > min(part_bytes, size - start) for count, start in zip(counts, starts, strict=True)):
        return None
    return part_bytes, list(counts)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
