"""What a FastRTC number needs in a test: a call manager on a fake model, a tunnel that really forwards, and a
telephone that does what Twilio does."""

import asyncio
import base64
import contextlib
import json
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast
from xml.etree import ElementTree

import httpx
import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from personaplex_ui.audio import mu_law
from personaplex_ui.audio.frames import Samples
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.store import CallStore
from personaplex_ui.engine.engine import Engine, EngineState
from personaplex_ui.errors import PhoneUnavailable
from personaplex_ui.voices.catalogue import Voice
from personaplex_ui.voices.library import VoiceLibrary
from tests.support.fake_model import FakeModel
from tests.support.running import until

VOICES = VoiceLibrary([Voice("NATF2", "Natural female", "NATF2")], default="NATF2")
CHUNK_SAMPLES = 160
TONE_HZ = 437.5  # an odd number of waves a second, so that no piece is like the one before
TONE_AMPLITUDE = 0.25


@asynccontextmanager
async def running_call_manager(folder: Path, lines: int = 1) -> AsyncGenerator[CallManager]:
    """Ready to take calls; each caller hears back what it says."""
    engine = Engine(lambda report: FakeModel(), max_calls=lines, max_waiting=2)
    call_manager = CallManager(engine, CallStore(folder, 3600.0, time.time), 600.0)
    await engine.start()
    await call_manager.start()
    await until(lambda: engine.state is EngineState.READY)
    try:
        yield call_manager
    finally:
        await call_manager.close()
        await engine.close()


class ForwardingTunnel:
    """Another port of loopback leads to the one that is told. ``failure``: it does not open. ``going``
    cleared: it takes until that is set. ``broken``: set by a test."""

    def __init__(self) -> None:
        self.failure = ""
        self.going = asyncio.Event()
        self.going.set()
        self.broken = asyncio.Event()
        self.opened = 0
        self.ports: list[int] = []
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_open(self) -> bool:
        return self._server is not None

    async def open(self, port: int) -> str:
        self.opened += 1
        self.ports.append(port)
        await self.going.wait()
        if self.failure:
            raise PhoneUnavailable(self.failure)
        self._server = await asyncio.start_server(self._forward, "127.0.0.1", 0)
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def lost(self) -> str:
        await self.broken.wait()
        return "The tunnel broke."

    async def close(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._tasks.add(task)
        try:
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self.ports[-1])
            await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))
        except asyncio.CancelledError:
            pass  # close; asyncio would log it
        finally:
            writer.transport.abort()
            self._tasks.discard(task)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


def plain_client() -> httpx.AsyncClient:
    """One that goes straight to loopback, whatever proxy this machine has, and reads no certificates."""
    return httpx.AsyncClient(trust_env=False, verify=False, timeout=10.0)


@dataclass(frozen=True)
class Answer:
    """TwiML, as a telephone understands it."""

    verbs: list[str]
    said: list[str]
    stream_url: str
    parameters: dict[str, str]


def understand(twiml: str) -> Answer:
    root = ElementTree.fromstring(twiml)
    stream = root.find("./Connect/Stream")
    parameters = [] if stream is None else stream.findall("Parameter")
    return Answer(
        [verb.tag for verb in root],
        [say.text or "" for say in root.iter("Say")],
        "" if stream is None else stream.attrib["url"],
        {p.attrib["name"]: p.attrib["value"] for p in parameters},
    )


async def ring(host: str, **headers: str) -> Answer:
    """What a caller who has entered the code is answered."""
    form = {"CallSid": "CA" + "0" * 32, "From": "+15550100", "To": "+15550199"}
    async with plain_client() as client:
        answer = await client.post(f"http://{host}/telephone/incoming", data=form, headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/xml")
    return understand(answer.text)


@dataclass
class Telephone:
    """One media stream. ``heard``: mu-law, as it came."""

    websocket: ClientConnection
    heard: bytearray = field(default_factory=bytearray)

    async def start(self, parameters: dict[str, str]) -> None:
        await self._send({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        start = {"streamSid": "MZ1", "callSid": "CA1", "tracks": ["inbound"], "customParameters": parameters}
        await self._send({"event": "start", "sequenceNumber": "1", "streamSid": "MZ1", "start": start})

    async def talk(self, sec: float) -> None:
        """Send a tone at real time, and listen."""
        listening = asyncio.create_task(self._listen())
        try:
            for chunk in range(round(sec * 50)):
                await self._send({"event": "media", "streamSid": "MZ1", "media": _media(chunk)})
                await asyncio.sleep(0.02)
        except ConnectionClosed:
            pass
        finally:
            listening.cancel()
            await asyncio.wait([listening])

    async def closed(self) -> tuple[int | None, str | None]:
        """Wait until the other side closes; code and reason."""
        async with asyncio.timeout(10.0):
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await self.websocket.recv()
        return self.websocket.close_code, self.websocket.close_reason

    def sound(self) -> Samples:
        return mu_law.decode(bytes(self.heard))

    async def _listen(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for text in self.websocket:
                message = cast(dict[str, dict[str, str]], json.loads(text))
                if "media" in message:
                    self.heard += base64.b64decode(message["media"]["payload"])
                elif "mark" in message:
                    await self._send({"event": "mark", "streamSid": "MZ1", "mark": message["mark"]})

    async def _send(self, message: object) -> None:
        await self.websocket.send(json.dumps(message))


def _media(chunk: int) -> dict[str, str]:
    time_sec = (np.arange(CHUNK_SAMPLES) + chunk * CHUNK_SAMPLES) / 8_000
    tone = (TONE_AMPLITUDE * np.sin(2 * np.pi * TONE_HZ * time_sec)).astype(np.float32)
    payload = base64.b64encode(mu_law.encode(tone)).decode()
    return {"track": "inbound", "chunk": str(chunk + 1), "timestamp": str(chunk * 20), "payload": payload}


@asynccontextmanager
async def picked_up(stream_url: str) -> AsyncGenerator[Telephone]:
    """A telephone whose stream is connected but has not begun. The stand-in tunnel has no certificate."""
    url = stream_url.replace("wss://", "ws://")
    async with connect(url, proxy=None, ping_interval=None, close_timeout=2.0) as websocket:
        yield Telephone(websocket)
