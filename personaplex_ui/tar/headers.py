"""The headers of tar archives that nobody vouches for: POSIX pax and ustar, GNU and v7.

Depends on bytes, not on where they come from. ``tarfile`` is not used: what makes it safe came with Python
3.11.4, and it reads headers of any size into memory.
"""

import re

BLOCK = 512
REGULAR, FOLDER, PAX, PAX_GLOBAL, GNU_NAME, GNU_LINK_NAME = b"0\x007", b"5", b"x", b"g", b"L", b"K"
LINKS_AND_DEVICES = b"12346"


class ArchiveUnusable(Exception):
    """The archive holds what it should not. The text is the rest of a sentence that begins with its name."""


class ArchiveDamaged(ArchiveUnusable):
    """It is cut short, altered, or something other than a tar archive."""

    def __init__(self) -> None:
        super().__init__("is damaged or not a tar archive")


class ArchiveTooLarge(ArchiveUnusable):
    """``name`` has ``size`` bytes, and either it or all files together are more than the limits allow."""

    def __init__(self, name: str = "", size: int = 0) -> None:
        super().__init__("holds too much")
        self.name = name
        self.size = size


def kind_and_size(header: bytes) -> tuple[bytes, int]:
    if _octal(header[148:156]) != sum(header[:148]) + 8 * ord(" ") + sum(header[156:]):
        raise ArchiveDamaged
    field = header[124:136]
    # The first bit says that the rest is binary; two's complement, so 0xff begins a negative number.
    size = int.from_bytes(field[1:], "big") if field[0] == 0x80 else _octal(field)
    return header[156:157], size


def _octal(field: bytes) -> int:
    digits = field.strip(b" \0")
    if not re.fullmatch(rb"[0-7]*", digits):
        raise ArchiveDamaged
    return int(digits or b"0", 8)


def decimal(digits: bytes) -> int:
    if not re.fullmatch(rb"[0-9]{1,19}", digits):
        raise ArchiveDamaged
    return int(digits)


def name_of(header: bytes) -> bytes:
    name = header[:100].partition(b"\0")[0]
    prefix = header[345:500].partition(b"\0")[0] if header[257:263] == b"ustar\0" else b""
    return prefix + b"/" + name if prefix else name


def pax_attributes(data: bytes) -> dict[bytes, bytes]:
    """Records of ``LENGTH KEY=VALUE`` and a line break; the length counts itself."""
    attributes: dict[bytes, bytes] = {}
    data = data.rstrip(b"\0")
    start = 0
    while start < len(data):
        found = re.compile(rb"([1-9][0-9]{0,6}) ([^=\n]{1,200})=").match(data, start)
        end = start + int(found[1]) if found else 0
        if found is None or not found.end() < end <= len(data) or data[end - 1 : end] != b"\n":
            raise ArchiveDamaged
        if found[2].startswith(b"GNU.sparse."):
            raise ArchiveUnusable("holds a sparse file, which is not a regular one")
        attributes[found[2]] = data[found.end() : end - 1]
        start = end
    return attributes
