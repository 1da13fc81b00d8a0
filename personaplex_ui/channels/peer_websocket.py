"""A websocket with bounded sends, whose end always raises one exception; for any protocol.

Depends on Starlette's websocket and on what uvicorn raises when it is closed, not on messages or a call.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from personaplex_ui.calls.snapshot import End
from personaplex_ui.channels.close_codes import close_reason, closed_on_purpose

SEND_WITHIN_SEC = 5.0

MESSAGE_SIZE = "personaplex_ui.message_size"
"""The server's extension of a websocket's scope, which lets it send longer messages."""


class ClientGone(Exception):
    """Nothing more can be sent to the client. ``end``: how the call then ends."""

    def __init__(self, sentence: str, end: End) -> None:
        super().__init__(sentence)
        self.end = end


class PeerWebsocket:
    """``gone``: it was closed, by either side, or is no longer read."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self.gone = False

    async def accept(self, subprotocol: str | None = None) -> None:
        try:
            await self._websocket.accept(subprotocol)
        except (WebSocketDisconnect, RuntimeError, OSError):
            raise self._hung_up() from None

    def allow_messages(self, most_bytes: int) -> None:
        """Let the client's next messages have so many bytes, where the server can tell one websocket from
        another; elsewhere they stay as short as everybody's."""
        extensions: dict[str, Any] = self._websocket.scope.get("extensions") or {}
        if MESSAGE_SIZE in extensions:
            extensions[MESSAGE_SIZE]["allow"](most_bytes)

    async def receive(self) -> bytes | str:
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            self.gone = True
            if not closed_on_purpose(message):
                raise ClientGone("The connection was lost.", End.LOST)
            raise self._hung_up()
        data: bytes | None = message.get("bytes")
        return str(message.get("text") or "") if data is None else data

    async def send_bytes(self, message: bytes) -> None:
        await self._do(self._websocket.send_bytes, message)

    async def send_text(self, message: str) -> None:
        await self._do(self._websocket.send_text, message)

    async def close(self, code: int, sentence: str) -> None:
        """A close frame truncates long sentences."""
        await self._do(self._websocket.close, code, close_reason(sentence))
        self.gone = True

    async def _do(self, send: Callable[..., Awaitable[None]], *values: object) -> None:
        if self.gone:
            raise self._hung_up()
        try:
            async with asyncio.timeout(SEND_WITHIN_SEC):
                await send(*values)
        except TimeoutError:
            self.gone = True
            raise ClientGone("The client stopped reading.", End.LOST) from None
        except (WebSocketDisconnect, RuntimeError):
            # Starlette and uvicorn raise the latter if the connection was already closed.
            raise self._hung_up() from None

    def _hung_up(self) -> ClientGone:
        self.gone = True
        return ClientGone("The client hung up.", End.HUNG_UP)
