"""Repairs Ogg pages whose segment table is too short. Pure: bytes in, bytes out.

A packet of 255 bytes or more needs several segments (RFC 3533, 6). Some encoders (fujielab-moshi-client
0.1.2) write one of at most 255 for a packet of any length, which other readers see as a truncated page
followed by junk. The checksum covers the whole page, so it tells where the page ends.
"""

TABLE_AT, CHECKSUM_AT = 26, 22
LONGEST_BYTES = 4_096
"""The longest such page; each of its bytes costs time."""
POLYNOMIAL = 0x04C11DB7


def _row(byte: int) -> int:
    remainder = byte << 24
    for _ in range(8):
        remainder = (remainder << 1) ^ (POLYNOMIAL if remainder & 0x80000000 else 0)
    return remainder & 0xFFFFFFFF


_TABLE = tuple(_row(byte) for byte in range(256))


def says_too_little(page: bytes | bytearray, told_end: int) -> bool:
    """Whether ``page`` may continue past its stated end: its only segment is of maximum length."""
    return told_end == TABLE_AT + 2 + 255 and page[TABLE_AT : TABLE_AT + 2] == b"\x01\xff"


def is_whole(page: bytes | bytearray) -> bool:
    """Whether ``page`` is complete by its checksum."""
    if len(page) > LONGEST_BYTES:
        return False
    remainder = 0
    for byte in page[:CHECKSUM_AT] + bytes(4) + page[CHECKSUM_AT + 4 :]:
        remainder = (remainder << 8 & 0xFFFFFFFF) ^ _TABLE[remainder >> 24 ^ byte]
    return remainder == int.from_bytes(page[CHECKSUM_AT : CHECKSUM_AT + 4], "little")


def mend(page: bytes | bytearray) -> bytes:
    """The same page, with its one packet in as many segments as it needs. The checksum is unchanged."""
    body = bytes(page[TABLE_AT + 2 :])
    lacing = b"\xff" * (len(body) // 255) + bytes([len(body) % 255])
    return bytes(page[:TABLE_AT]) + bytes([len(lacing)]) + lacing + body
