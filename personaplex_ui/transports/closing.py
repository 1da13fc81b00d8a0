"""How websockets end, whatever protocol they carry."""

CLOSED_ON_PURPOSE = (1000, 1001, 1005)
"""Codes of clients that closed; with any other the connection broke."""

MAX_REASON_BYTES = 123
"""A close frame holds 125 bytes, and two of them are its code (RFC 6455, 5.5)."""

ELLIPSIS = "…"


def close_reason(sentence: str) -> str:
    """As much of ``sentence`` as a close frame holds, cut between characters. Never raises: half a surrogate
    pair, which UTF-8 cannot say, becomes a question mark."""
    encoded = sentence.encode(errors="replace")
    if len(encoded) <= MAX_REASON_BYTES:
        return encoded.decode()
    room_bytes = MAX_REASON_BYTES - len(ELLIPSIS.encode())
    return encoded[:room_bytes].decode(errors="ignore") + ELLIPSIS
