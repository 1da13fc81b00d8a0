"""The other end of a websocket, without a network: it reads as much as a test wants."""

import asyncio
from typing import Any

from fastapi import WebSocket
from starlette.types import Message


class AsgiPeer:
    """Reads ``reads`` messages and no more; says what a test puts into ``says``, and then nothing.
    ``broken``: what every message that is sent to it raises."""

    def __init__(self, reads: int = 1_000, broken: Exception | None = None) -> None:
        self.reads = reads
        self.broken = broken
        self.sent: list[Message] = []
        self.says: list[Message] = [{"type": "websocket.connect"}]
        scope: dict[str, Any] = {"type": "websocket", "path": "/", "query_string": b"", "headers": []}
        self.websocket = WebSocket(scope, self._receive, self._send)

    async def _receive(self) -> Message:
        if not self.says:
            await asyncio.Event().wait()
        return self.says.pop(0)

    async def _send(self, message: Message) -> None:
        if self.broken is not None:
            raise self.broken
        if len(self.sent) >= self.reads:
            await asyncio.Event().wait()
        self.sent.append(message)
