"""A file as PyAV reads it.

A seek to nowhere, as damaged files ask for, is answered and not raised: PyAV would print a traceback each
time.
"""

from typing import BinaryIO

NOWHERE = -1


class AvSource:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            return NOWHERE

    def tell(self) -> int:
        return self._file.tell()
