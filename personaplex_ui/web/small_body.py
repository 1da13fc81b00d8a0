"""Reads small request bodies within limits of size and time, whatever the client announces."""

import asyncio
from urllib.parse import parse_qsl

from fastapi import HTTPException, Request

MOST_BYTES = 65_536
ARRIVES_WITHIN_SEC = 10.0
MOST_FIELDS = 200


async def read_small_body(request: Request, most_bytes: int = MOST_BYTES) -> bytes:
    """The body. Raises HTTPException if it is over ``most_bytes`` (413) or takes over 10 s (408)."""
    body = b""
    try:
        async with asyncio.timeout(ARRIVES_WITHIN_SEC):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most_bytes:
                    raise HTTPException(413, f"The request is over {most_bytes // 1024} KiB. Send less.")
    except TimeoutError as error:
        raise HTTPException(408, "The request did not arrive in time. Please send it again.") from error
    return body


def form_fields(body: bytes) -> list[tuple[str, str]]:
    """Names and values of an ``application/x-www-form-urlencoded`` body, in order, including empty ones.

    Raises:
        HTTPException: it has more than 200 (413).
    """
    try:
        return parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError as error:
        raise HTTPException(413, f"The request has over {MOST_FIELDS} fields. Send fewer.") from error
