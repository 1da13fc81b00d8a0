"""A websocket of the Moshi protocol whose sends take a bounded time and whose end is always one exception.

Knows Starlette's websocket and what uvicorn's implementations raise when it is closed; no call.
"""

import asyncio
from collections.abc import Awaitable, Callable

from starlette.websockets import WebSocket, WebSocketDisconnect

from personaplex_ui.calls.snapshot import End
from personaplex_ui.channels.close_codes import close_reason, closed_on_purpose
from personaplex_ui.channels.moshi.protocol import Error, Event, build

SEND_WITHIN_SEC = 5.0


class ClientGone(Exception):
    """Nothing more can be sent to the client. ``end``: what that makes of the call."""

    def __init__(self, sentence: str, end: End) -> None:
        super().__init__(sentence)
        self.end = end


class Wire:
    """A websocket whose sends take a bounded time, and whose end is always a ``ClientGone``."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self.gone = False

    async def accept(self) -> None:
        try:
            await self._websocket.accept()
        except (WebSocketDisconnect, RuntimeError, OSError):
            raise self._hung_up() from None

    async def receive(self) -> bytes | str:
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            self.gone = True
            if not closed_on_purpose(message):
                raise ClientGone("The connection was lost.", End.LOST)
            raise self._hung_up()
        data: bytes | None = message.get("bytes")
        return str(message.get("text") or "") if data is None else data

    async def send(self, event: Event) -> None:
        await self._do(self._websocket.send_bytes, build(event))

    async def close(self, code: int, sentence: str) -> None:
        await self._do(self._websocket.close, code, close_reason(sentence))
        self.gone = True

    async def refuse(self, sentence: str, code: int, with_error: bool = True) -> None:
        """Close with words. A close frame cuts them where they are long; an error (05) before it does not."""
        if with_error:
            await self.send(Error(sentence))
        await self.close(code, sentence)

    async def _do(self, send: Callable[..., Awaitable[None]], *values: object) -> None:
        if self.gone:
            raise self._hung_up()
        try:
            async with asyncio.timeout(SEND_WITHIN_SEC):
                await send(*values)
        except TimeoutError:
            self.gone = True
            raise ClientGone("The client read nothing any more.", End.LOST) from None
        except (WebSocketDisconnect, RuntimeError):
            # The latter is how Starlette and uvicorn tell that the connection was closed before.
            raise self._hung_up() from None

    def _hung_up(self) -> ClientGone:
        self.gone = True
        return ClientGone("The client hung up.", End.HUNG_UP)
