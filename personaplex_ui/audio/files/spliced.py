"""A read-only file made of some bytes and a part of another file, whatever they contain."""

import io
from typing import BinaryIO


class Spliced(io.RawIOBase):
    """``head``, followed by ``size`` bytes of ``file`` from ``start`` on."""

    def __init__(self, head: bytes, file: BinaryIO, start: int, size: int) -> None:
        self._head = head
        self._file = file
        self._start = start
        self._length = len(head) + size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:
        base = (0, self._at, self._length)[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: memoryview, /) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        wanted = min(len(buffer), self._length - self._at)
        if wanted <= 0:
            return 0
        if self._at < len(self._head):
            piece = self._head[self._at : self._at + wanted]
        else:
            self._file.seek(self._start + self._at - len(self._head))
            piece = self._file.read(wanted)
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)
