"""Uvicorn's HTTP/1.1 and websocket protocols (0.54, h11 and websockets) with limits on slow and silent peers.

Uvicorn waits forever for a request's head, for the rest of a body that nobody reads any more, and for a
client that does not read its answer; ``connection_limits`` says when that has lasted too long. Also fixed:

- a large head in one packet was parsed in full, whatever ``h11_max_incomplete_event_size`` says;
- junk received during an answer raised in the event loop, with a traceback in the log each time;
- a websocket request that ``websockets`` cannot read (too many headers) was neither answered nor closed;
- pings were answered without limit, even if the client read none of the pongs.

An app may let one websocket send longer messages than others: see ``LimitedWebSocket``.

``tests/unit/app/test_uvicorn_protocol.py`` fails when uvicorn changes the internals used here.
"""

import asyncio
import functools
import sys
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets import http11

from personaplex_ui.app.connection_limits import Connection, ConnectionLimits, Stage
from personaplex_ui.channels.peer_websocket import MESSAGE_SIZE

MAX_HEAD_BYTES = 32_768
"""A role of 2,000 characters takes up to 24,000 in a websocket's address."""

SLICE_BYTES = 8_192
MAX_UNREAD_BYTES = 1024 * 1024
"""Bytes that a websocket client may leave unread of answers the app did not send, such as pongs."""

UNREADABLE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


def limited_protocol(limits: ConnectionLimits) -> type[asyncio.Protocol]:
    """What ``uvicorn.Config(http=...)`` takes, with ``h11_max_incomplete_event_size=MAX_HEAD_BYTES``.
    The server must call ``limits.drop_overdue``."""
    http11.MAX_LINE_LENGTH = max(http11.MAX_LINE_LENGTH, MAX_HEAD_BYTES)
    return functools.partial(LimitedHttp, limits)  # type: ignore[return-value]


def _unsent(transport: asyncio.Transport) -> int:
    """Bytes that the client has not received yet: here and, where it can be told, in the system's buffers."""
    try:
        import fcntl
        import termios

        of_system = fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
    except (ImportError, OSError, AttributeError):  # Windows, or just closed
        return transport.get_write_buffer_size()
    return transport.get_write_buffer_size() + int.from_bytes(of_system, sys.byteorder)


class LimitedHttp(H11Protocol):
    """One HTTP connection until it is closed or becomes a websocket."""

    _connection: Connection

    def __init__(self, limits: ConnectionLimits, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._limits = limits

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        peer = self.client[0] if self.client else ""
        unsent = functools.partial(_unsent, transport)
        self._connection = Connection(peer, transport.abort, transport.is_closing, unsent)
        self._limits.add(self._connection)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._limits.remove(self._connection)

    def data_received(self, data: bytes) -> None:
        if self._connection.stage is Stage.KEPT:
            self._move(Stage.SILENT)
        for start in range(0, len(data), SLICE_BYTES):
            protocol: Any = self.transport.get_protocol()
            if protocol is self:
                super().data_received(data[start : start + SLICE_BYTES])
            else:  # it has become a websocket
                protocol.data_received(data[start:])
                return
            if self.transport.is_closing():
                return

    def handle_events(self) -> None:
        super().handle_events()
        if self.transport.get_protocol() is self:
            self._move(self._stage())

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._move(self._stage())

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self.ws_protocol_class = functools.partial(LimitedWebSocket, self._limits, self._connection)  # type: ignore[assignment]
        self._move(Stage.BUSY)
        super().handle_websocket_upgrade(event)

    def send_400_response(self, msg: str) -> None:
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:  # an answer is on its way, and no second one can be sent
            self.transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._limits.stall(self._connection)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._limits.flow(self._connection)

    def _stage(self) -> Stage:
        if self.transport.is_closing():
            return Stage.CLOSING
        cycle: Any = self.cycle  # None before the first request
        if cycle is not None and not cycle.response_complete:
            return Stage.BUSY
        if self.conn.their_state is h11.SEND_BODY:
            return Stage.SURPLUS
        if cycle is not None and not self.conn.trailing_data[0]:
            return Stage.KEPT
        return Stage.SILENT

    def _move(self, stage: Stage) -> None:
        self._limits.move(self._connection, stage)


class LimitedWebSocket(WebSocketsSansIOProtocol):
    """One websocket, from its handshake on. The extension ``MESSAGE_SIZE`` in its scope has a function
    ``allow``, which takes the most bytes that its next messages may have."""

    scope: Any

    def __init__(
        self, limits: ConnectionLimits, connection: Connection, *arguments: Any, **named: Any
    ) -> None:
        super().__init__(*arguments, **named)
        self._limits = limits
        self._connection = connection

    async def run_asgi(self) -> None:
        self.scope["extensions"][MESSAGE_SIZE] = {"allow": self._allow_messages}
        await super().run_asgi()

    def _allow_messages(self, most_bytes: int) -> None:
        self.conn.max_size = most_bytes

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._limits.remove(self._connection)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self.transport.write(UNREADABLE)
            self.transport.close()
        elif self.transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            self.transport.abort()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._limits.stall(self._connection)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._limits.flow(self._connection)
