"""Hostile clients on loopback, each kind bounded in number and pace, for a limited time.

``python -m benchmarks.soak.attackers URL SECONDS`` prints how often each of them tried, as JSON. They connect
from 127.0.0.2 and up, and depend only on the app's URLs. They run in a process of their own, so that they do
not delay the measured callers.
"""

import asyncio
import contextlib
import itertools
import json
import secrets
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from urllib.parse import urlsplit

TRIES_WITHIN_SEC = 15.0
HOST_HEADER = "Host: localhost\r\n"
WEBSOCKETS = ("/api/chat", "/ws/chat", "/twilio/media-stream")
UPGRADE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
MB_OF_JSON = b'{"data":["' + b"x" * 1_000_000 + b'"],"fn_index":1,"session_hash":"abc"}'
MANY_VALUES = b'{"data":[' + b"[]," * 43_000 + b'[]],"fn_index":1,"session_hash":"abc"}'
DEEP_JSON = b'{"data":' + b"[" * 900 + b"]" * 900 + b',"fn_index":1,"session_hash":"abc"}'
JUNK_FORM = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.wav"\r\n\r\n' + bytes(20_000)
HALF_OPEN = "\r\n".join(
    [
        *("v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0 1"),
        *("m=audio 9 UDP/TLS/RTP/SAVPF 111", "c=IN IP4 127.0.0.1", "a=mid:0", "a=ice-ufrag:abcd"),
        *("a=ice-pwd:abcdefghijklmnopqrstuvwx", "a=fingerprint:sha-256 " + ":".join(["AB"] * 32)),
        *("a=setup:actpass", "a=sendrecv", "a=rtcp-mux", "a=rtpmap:111 opus/48000/2"),
        *("m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "c=IN IP4 127.0.0.1", "a=mid:1"),
        *("a=ice-ufrag:abcd", "a=ice-pwd:abcdefghijklmnopqrstuvwx", "a=setup:actpass"),
        *("a=fingerprint:sha-256 " + ":".join(["AB"] * 32), "a=sctp-port:5000", ""),
    ]
)

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Attackers:
    """All kinds against one server. ``tries``: by kind."""

    def __init__(self, host: str, port: int) -> None:
        self.tries = Counter[str]()
        self._host, self._port = host, port
        self._sources = itertools.cycle(f"127.0.0.{last}" for last in range(2, 22))

    async def run(self, seconds: float) -> None:
        """``(kind, at once, a second)`` of each attack below."""
        attacks: list[tuple[Callable[[], Awaitable[None]], int, float]] = [
            (self._silent, 300, 20.0),
            (self._slow_head, 50, 5.0),
            (self._slow_body, 50, 5.0),
            (self._large_json, 8, 4.0),
            (self._many_values, 8, 4.0),
            (self._deep_json, 4, 2.0),
            (self._half_open_offer, 4, 4.0),
            (self._junk_frames, 12, 4.0),
            (self._junk_form, 8, 2.0),
            (self._junk_bytes, 8, 4.0),
        ]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
                for attack, at_once, a_second in attacks:
                    for number in range(at_once):
                        group.create_task(self._repeat(attack, number / a_second, at_once / a_second))

    async def _repeat(
        self, attack: Callable[[], Awaitable[None]], first_sec: float, every_sec: float
    ) -> None:
        await asyncio.sleep(first_sec)
        while True:
            self.tries[attack.__name__.strip("_")] += 1
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                async with asyncio.timeout(TRIES_WITHIN_SEC):
                    await attack()
            await asyncio.sleep(every_sec)

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncGenerator[Streams]:
        reader, writer = await asyncio.open_connection(
            self._host, self._port, local_addr=(next(self._sources), 0)
        )
        try:
            yield reader, writer
        finally:
            writer.close()

    async def _post(self, path: str, body: bytes, kind: str = "application/json") -> bytes:
        head = (
            f"POST {path} HTTP/1.1\r\n{HOST_HEADER}Content-Type: {kind}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        async with self._connected() as (reader, writer):
            writer.write(head.encode() + body)
            await writer.drain()
            return await reader.read()

    async def _silent(self) -> None:
        async with self._connected() as (reader, _):
            await reader.read()

    async def _slow_head(self) -> None:
        await self._trickle(f"GET / HTTP/1.1\r\n{HOST_HEADER}X: ")

    async def _slow_body(self) -> None:
        await self._trickle(
            f"POST /gradio_api/queue/join HTTP/1.1\r\n{HOST_HEADER}Content-Length: 9000\r\n\r\n"
        )

    async def _trickle(self, beginning: str) -> None:
        async with self._connected() as (_, writer):
            writer.write(beginning.encode())
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(1.0)

    async def _large_json(self) -> None:
        await self._post("/gradio_api/queue/join", MB_OF_JSON)

    async def _many_values(self) -> None:
        await self._post("/gradio_api/queue/join", MANY_VALUES)

    async def _deep_json(self) -> None:
        await self._post("/gradio_api/queue/join", DEEP_JSON)

    async def _half_open_offer(self) -> None:
        offer = {"sdp": HALF_OPEN, "type": "offer", "webrtc_id": secrets.token_hex(6)}
        await self._post("/webrtc/offer", json.dumps(offer).encode())

    async def _junk_frames(self) -> None:
        """A few of each kind, then no more is read."""
        async with self._connected() as (reader, writer):
            path = secrets.choice(WEBSOCKETS)
            writer.write(f"GET {path} HTTP/1.1\r\n{HOST_HEADER}{UPGRADE}\r\n".encode())
            await reader.readuntil(b"\r\n\r\n")
            for opcode in (0x81, 0x82, 0x89, 0x8B, 0x02, 0x00, 0xF3):
                writer.write(bytes([opcode, 0x80 + 100]) + secrets.token_bytes(4 + 100))
                await writer.drain()
                await asyncio.sleep(0.2)

    async def _junk_form(self) -> None:
        await self._post("/gradio_api/upload", JUNK_FORM, "multipart/form-data; boundary=x")

    async def _junk_bytes(self) -> None:
        async with self._connected() as (reader, writer):
            writer.write(
                secrets.choice([b"\x16\x03\x01\x02\x00\x01", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", bytes(500)])
            )
            await reader.read()


def main() -> None:
    url, seconds = sys.argv[1:]
    server = urlsplit(url)
    attackers = Attackers(server.hostname or "127.0.0.1", server.port or 80)
    asyncio.run(attackers.run(float(seconds)))
    print(json.dumps(attackers.tries))


if __name__ == "__main__":
    main()
