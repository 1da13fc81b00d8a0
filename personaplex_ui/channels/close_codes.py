"""How websockets end, whatever protocol they carry."""

from collections.abc import Mapping
from typing import Any

CLOSED_ON_PURPOSE = (1000, 1001)
CLOSED_WITHOUT_CODE = 1005

MAX_REASON_BYTES = 123
"""A close frame holds 125 bytes, and two of them are its code (RFC 6455, 5.5)."""

ELLIPSIS = "…"


def closed_on_purpose(disconnect: Mapping[str, Any]) -> bool:
    """Whether a client closed the websocket that ended with this ASGI message; else the connection broke.

    uvicorn (0.54, websockets_sansio_impl.py) tells of a connection that broke with 1005 too, the code of a
    close without one, but then leaves out the reason.
    """
    code = disconnect.get("code")
    return code in CLOSED_ON_PURPOSE or (code == CLOSED_WITHOUT_CODE and "reason" in disconnect)


def close_reason(sentence: str) -> str:
    """As much of ``sentence`` as a close frame holds, cut between characters. Never raises: half a surrogate
    pair, which UTF-8 cannot say, becomes a question mark."""
    encoded = sentence.encode(errors="replace")
    if len(encoded) <= MAX_REASON_BYTES:
        return encoded.decode()
    room_bytes = MAX_REASON_BYTES - len(ELLIPSIS.encode())
    return encoded[:room_bytes].decode(errors="ignore") + ELLIPSIS
