"""A websocket of the Moshi protocol: its messages instead of bytes.

Depends on the protocol's messages and a bounded websocket, not on a call.
"""

from starlette.websockets import WebSocket

from personaplex_ui.channels.moshi.protocol import Error, Event, Handshake, build
from personaplex_ui.channels.peer_websocket import PeerWebsocket


class Wire(PeerWebsocket):
    """``handshake_sent``: the client is ready for anything."""

    def __init__(self, websocket: WebSocket) -> None:
        super().__init__(websocket)
        self.handshake_sent = False

    async def send(self, event: Event) -> None:
        await self.send_bytes(build(event))
        self.handshake_sent |= isinstance(event, Handshake)

    async def refuse(self, sentence: str, code: int, with_error: bool = True) -> None:
        """Close with a sentence. A close frame truncates long ones; an error (05) sent before it does not."""
        if with_error:
            await self.send(Error(sentence))
        await self.close(code, sentence)
