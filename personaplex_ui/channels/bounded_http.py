"""One question by HTTP whose JSON answer is neither waited for nor read without end.

Knows no service: what is asked, and what the answer means, is the caller's.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import httpx

MOST_BYTES = 65_536
"""Longer answers are given up: no service asked here has as much to say."""


@dataclass(frozen=True, slots=True)
class Reply:
    """``body``: what the JSON says; None when there was none, or too much of it."""

    status: int
    body: object


async def ask(
    client: httpx.AsyncClient,
    method: str,
    url: str,
    within_sec: float,
    body: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Send ``body`` as JSON, and read the answer. Redirects are not followed, so headers go nowhere else.

    Raises:
        httpx.RequestError: nobody answered, or not in HTTP.
        TimeoutError: not within ``within_sec``.
    """
    # Unpacked, a few packets could become gigabytes before they can be counted.
    headers = {**(headers or {}), "Accept-Encoding": "identity"}
    async with (
        asyncio.timeout(within_sec),
        client.stream(method, url, json=body, headers=headers, timeout=within_sec) as response,
    ):
        content = bytearray()
        async for chunk in response.aiter_raw():
            content += chunk
            if len(content) > MOST_BYTES:
                return Reply(response.status_code, None)
        return Reply(response.status_code, _parse(content))


def _parse(content: bytearray) -> object:
    try:
        return cast(object, json.loads(content))
    except (ValueError, RecursionError):
        return None
