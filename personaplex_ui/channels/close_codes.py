"""Close codes and reasons of websockets, for any protocol."""

from collections.abc import Mapping
from typing import Any

ENDED, GOING_AWAY, NOT_ALLOWED, FAILED, TRY_LATER = 1000, 1001, 1008, 1011, 1013
CANNOT_BE_USED, NOT_ADMITTED = 4000, 4003
"""Our own: a request that fails however often it is tried, and a stream that was not granted."""

CLOSED_ON_PURPOSE = (ENDED, GOING_AWAY)
CLOSED_WITHOUT_CODE = 1005

MAX_REASON_BYTES = 123
"""A close frame holds 125 bytes, two of which are its code (RFC 6455, 5.5)."""

ELLIPSIS = "…"


def closed_on_purpose(disconnect: Mapping[str, Any]) -> bool:
    """Whether the client closed the websocket that ended with this ASGI message. If not, the connection
    broke.

    uvicorn (0.54, websockets_sansio_impl.py) also reports a broken connection as 1005, the code for a close
    without a code, but then omits the reason.
    """
    code = disconnect.get("code")
    return code in CLOSED_ON_PURPOSE or (code == CLOSED_WITHOUT_CODE and "reason" in disconnect)


def close_reason(sentence: str) -> str:
    """As much of ``sentence`` as a close frame holds, cut between characters. Never raises: a lone surrogate,
    which UTF-8 cannot encode, becomes a question mark."""
    encoded = sentence.encode(errors="replace")
    if len(encoded) <= MAX_REASON_BYTES:
        return encoded.decode()
    room_bytes = MAX_REASON_BYTES - len(ELLIPSIS.encode())
    return encoded[:room_bytes].decode(errors="ignore") + ELLIPSIS
