"""Uvicorn with limits, over real sockets; the clock of the limits is the test's."""

import asyncio
import contextlib
import inspect
import logging
import socket
from collections.abc import AsyncGenerator, Callable

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.protocols.websockets.auto import AutoWebSocketsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError

from personaplex_ui.app.connection_limits import STALLED_SEC, WITHIN_SEC, ConnectionLimits, Stage
from personaplex_ui.app.uvicorn_protocol import MAX_HEAD_BYTES, limited_protocol
from personaplex_ui.channels.peer_websocket import MESSAGE_SIZE
from tests.support.clock import Clock
from tests.support.running import until

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"
UPGRADE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
LAST = HEAD + b"Connection: close\r\n\r\n"
ASK_FOR_LARGE = b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n"
LARGE = 32 * 2**20
"""More than all buffers between the app and a client that does not read."""


LONG = 2**20
"""Bytes of the longest message where the app allows no more."""


class Limited:
    """A server on a free port. ``seen``: what reached its app."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.limits = ConnectionLimits(50, self.clock)
        self.seen: list[Scope] = []
        self.port = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.seen.append(scope)
        if scope["type"] == "websocket":
            await receive()
            if scope["path"] == "/long":
                scope["extensions"][MESSAGE_SIZE]["allow"](2 * LONG)
            await send({"type": "websocket.accept"})
            while (message := await receive())["type"] == "websocket.receive":
                await send({"type": "websocket.send", "bytes": message.get("bytes")})
            return
        if scope["path"] == "/read":
            while (await receive()).get("more_body"):
                pass
        body = bytes(LARGE) if scope["path"] == "/large" else b"ok"
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    @contextlib.asynccontextmanager
    async def connected(
        self, *parts: bytes
    ) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
            yield reader, writer
        finally:
            writer.close()

    async def answer(self, *parts: bytes) -> bytes:
        """All that comes until the server closes."""
        async with self.connected(*parts) as (reader, _), asyncio.timeout(10):
            with contextlib.suppress(ConnectionResetError):
                return await reader.read()
            return b""

    async def is_in(self, *stages: Stage) -> None:
        await until(lambda: self.limits.stages == list(stages))

    async def keep_looking(self) -> None:
        while True:
            await asyncio.sleep(0.01)
            self.limits.drop_overdue()


@pytest.fixture
async def server() -> AsyncGenerator[Limited]:
    limited = Limited()
    config = uvicorn.Config(
        limited,
        port=0,
        http=limited_protocol(limited.limits),
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        log_config=None,
        lifespan="off",
        ws_max_size=LONG,
        timeout_keep_alive=3_600,
    )
    config.load()
    running = uvicorn.Server(config)
    running.lifespan = config.lifespan_class(config)
    await running.startup()
    limited.port = running.servers[0].sockets[0].getsockname()[1]
    looking = asyncio.create_task(limited.keep_looking())
    yield limited
    looking.cancel()
    await running.shutdown()
    await limited.is_in()


@pytest.mark.parametrize(
    ("sent", "stage"),
    [
        (b"", Stage.SILENT),
        (HEAD, Stage.SILENT),
        (HEAD + b"\r\n", Stage.KEPT),
        (HEAD + b"\r\n" + HEAD, Stage.SILENT),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc", Stage.SURPLUS),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", Stage.SURPLUS),
        (b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc", Stage.BUSY),
        (HEAD + UPGRADE, Stage.SILENT),
        (HEAD + UPGRADE + b"\r\n", Stage.BUSY),
    ],
)
async def test_a_connection_is_in_the_stage_that_its_bytes_say(server: Limited, sent: bytes, stage: Stage):
    async with server.connected(sent):
        await server.is_in(stage)
    await server.is_in()


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"G",
        HEAD,
        HEAD + UPGRADE,
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n",
    ],
    ids=["nothing", "a letter", "a head", "a handshake", "a body"],
)
async def test_a_connection_that_never_says_all_is_closed_and_the_next_one_served(
    server: Limited, sent: bytes
):
    async with server.connected(sent) as (_, writer):
        await until(lambda: server.limits.stages in ([Stage.SILENT], [Stage.SURPLUS]))
        for _ in range(11):  # a byte a second does not help
            server.clock.now += 1.0
            await asyncio.sleep(0.03)
            with contextlib.suppress(ConnectionError):
                writer.write(b"x")
                await writer.drain()
        await server.is_in()
    assert (await server.answer(LAST)).endswith(b"ok")


async def test_a_second_request_has_its_own_time_and_no_more(server: Limited):
    async with server.connected(HEAD + b"\r\n") as (reader, writer):
        await reader.readuntil(b"ok")
        server.clock.now += 9.0
        writer.write(HEAD)
        await server.is_in(Stage.SILENT)
        server.clock.now += WITHIN_SEC[Stage.SILENT] - 0.1
        await asyncio.sleep(0.05)
        assert server.limits.stages == [Stage.SILENT]
        server.clock.now += 0.1
        await server.is_in()


async def test_what_is_busy_is_left_alone(server: Limited):
    async with connect(f"ws://127.0.0.1:{server.port}/") as websocket:
        server.clock.now += 10_000.0
        await asyncio.sleep(0.05)
        await websocket.send(b"still there")
        assert await websocket.recv() == b"still there"


async def test_a_client_that_takes_none_of_a_large_answer_is_dropped(server: Limited):
    async with server.connected(ASK_FOR_LARGE):
        await server.is_in(Stage.KEPT)
        async with asyncio.timeout(20):
            while server.limits.stages:  # at first the buffers of this machine still take something
                server.clock.now += STALLED_SEC
                await asyncio.sleep(0.05)


async def test_a_client_that_reads_slowly_gets_all(server: Limited):
    async with server.connected(ASK_FOR_LARGE) as (reader, _):
        size = 0
        while size < LARGE and (part := await reader.read(2**20)):
            size += len(part)
            server.clock.now += 0.4  # 160 KB a second: the buffers of this machine alone hold 6 MB
            await asyncio.sleep(0.002)
        assert size >= LARGE


async def test_pings_without_end_of_a_client_that_does_not_read_end_the_connection(server: Limited):
    pings = (b"\x89\xfd" + bytes(4) + bytes(125)) * 2_000
    loop = asyncio.get_running_loop()
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.setblocking(False)
        await loop.sock_sendall(client, HEAD + UPGRADE + b"\r\n")
        await server.is_in(Stage.BUSY)

        async def flood() -> None:
            with contextlib.suppress(ConnectionError):
                while True:
                    await loop.sock_sendall(client, pings)

        async with asyncio.timeout(30):
            await flood()
        await server.is_in()


@pytest.mark.parametrize(
    "junk",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00" * 1_000,
        b"GET / HTTP/1.1\r\n no name\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        HEAD + b"x" * (MAX_HEAD_BYTES + 10_000),
        HEAD + b"a:\r\n" * 60_000 + b"\r\n",
        HEAD + b"X: " + b"y" * 200_000 + b"\r\n\r\n",
    ],
    ids=["TLS", "zeros", "no name", "no host", "long line", "many headers", "long header"],
)
async def test_junk_is_answered_with_400_and_reaches_no_app(server: Limited, junk: bytes):
    answer = await server.answer(junk)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400")
    assert server.seen == []


@pytest.mark.parametrize(
    "spoilt",
    [
        b"POST /read HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nnonsense\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 100 + b"\r\n",
    ],
)
async def test_junk_in_the_middle_raises_nothing_in_the_event_loop(
    server: Limited, spoilt: bytes, caplog: pytest.LogCaptureFixture
):
    head, _, rest = spoilt.partition(b"\r\n\r\n")
    async with server.connected(head + b"\r\n\r\n") as (reader, writer):
        await until(lambda: len(server.seen) == 1)
        writer.write(rest)
        with contextlib.suppress(ConnectionResetError):
            await reader.read()
    await server.is_in()
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize(
    ("handshake", "status"),
    [
        (UPGRADE + b"X-A: b\r\n" * 200, b"431"),
        (b"Connection: Upgrade\r\nUpgrade: websocket\r\n", b"4"),
        (UPGRADE.replace(b"Version: 13", b"Version: 1"), b"4"),
    ],
    ids=["too many headers", "no key", "another version"],
)
async def test_a_handshake_that_cannot_be_taken_is_answered_without_a_traceback(
    server: Limited, caplog: pytest.LogCaptureFixture, handshake: bytes, status: bytes
):
    answer = await server.answer(HEAD + handshake + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert server.seen == []
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_a_long_role_in_a_websockets_address_is_read(server: Limited):
    role = "%F0%9F%98%80" * 2_000
    async with connect(f"ws://127.0.0.1:{server.port}/?text_prompt={role}"):
        assert server.seen[0]["query_string"] == f"text_prompt={role}".encode()


async def test_one_websocket_may_send_longer_messages_than_others(server: Limited):
    for path, most, too_long in (("/long", 2 * LONG, 2 * LONG + 1), ("/any", LONG, LONG + 1)):
        async with connect(f"ws://127.0.0.1:{server.port}{path}", max_size=None, proxy=None) as websocket:
            await websocket.send(bytes(most))
            assert await websocket.recv() == bytes(most)
            await websocket.send(bytes(too_long))
            with pytest.raises(ConnectionClosedError):
                await websocket.recv()
            assert websocket.close_code == 1009


async def test_pipelined_requests_are_answered_one_after_the_other(server: Limited):
    answer = await server.answer((HEAD + b"\r\n") * 20 + LAST)
    assert answer.count(b"HTTP/1.1 200") == 21
    assert answer.endswith(b"ok")


async def test_silent_connections_beyond_the_limit_push_out_the_oldest(server: Limited):
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(80):
            await stack.enter_async_context(server.connected())
        assert (await server.answer(LAST)).endswith(b"ok")
        await until(lambda: len(server.limits) <= 50)


# What is reached into ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (H11Protocol.data_received, ["self.conn.receive_data(data)", "self.handle_events()"]),
        (H11Protocol.handle_events, ["self._should_upgrade()", "self.handle_websocket_upgrade(event)"]),
        (
            H11Protocol.handle_websocket_upgrade,
            ["protocol = self.ws_protocol_class(", "set_protocol(protocol)"],
        ),
        (H11Protocol.on_response_complete, ["self.timeout_keep_alive_handler"]),
        (H11Protocol.connection_made, ["self.client = get_remote_addr(transport)"]),
        (RequestResponseCycle.send, ["self.response_complete = True", "self.on_response()"]),
        (WebSocketsSansIOProtocol.data_received, ["self.conn.parser_exc", "self.handle_parser_exception()"]),
        (WebSocketsSansIOProtocol.handle_ping, ["self.transport.write"]),
        (WebSocketsSansIOProtocol.__init__, ["self.conn = ServerProtocol("]),
        (WebSocketsSansIOProtocol.run_asgi, ["self.scope"]),
        (WebSocketsSansIOProtocol.pause_writing, ["self.writable.clear()"]),
    ],
)
def test_uvicorn_is_built_as_the_adapter_takes_it(function: Callable[..., object], words: list[str]):
    source = inspect.getsource(function)
    for word in words:
        assert word in source


def test_uvicorn_would_choose_the_websocket_protocol_that_is_adapted():
    assert AutoWebSocketsProtocol is WebSocketsSansIOProtocol
