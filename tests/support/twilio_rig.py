"""For tests of Twilio's stream: a peer on a wire in memory, and what Twilio does with it."""

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from fastapi import WebSocket

from personaplex_ui.audio import mu_law
from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.snapshot import Transport
from personaplex_ui.channels.twilio.media_stream.admission import Admit, Lobby, PhoneGrant
from personaplex_ui.channels.twilio.media_stream.protocol import Start
from personaplex_ui.channels.twilio.media_stream.session import serve_stream
from personaplex_ui.engine.speech_model import Persona
from personaplex_ui.errors import InvalidInput
from tests.support.running import until

SETTINGS = CallSettings(Persona("NATF2", "Be kind."), record=False)
TOKEN = "a token"
SID = "MZ18ad3ab5a668481ce02b83e7395059f0"
CHUNK_SEC = 0.02
LOUD = mu_law.encode(np.full(160, 0.25, dtype=np.float32))
QUIET = mu_law.encode(np.zeros(160, dtype=np.float32))


def started(token: str = TOKEN) -> dict[str, Any]:
    return started_with({"token": token})


def started_with(parameters: Mapping[str, str], call_sid: str = "CA1") -> dict[str, Any]:
    start = {"streamSid": SID, "callSid": call_sid, "customParameters": dict(parameters)}
    return {"event": "start", "start": start}


def key(digit: str) -> dict[str, Any]:
    return {"event": "dtmf", "dtmf": {"track": "inbound_track", "digit": digit}}


def media(sound: bytes = LOUD, track: str = "inbound") -> dict[str, Any]:
    return {"event": "media", "media": {"track": track, "payload": base64.b64encode(sound).decode()}}


class Peer:
    """A websocket in memory, and what Twilio does with it. ``reads``: cleared, it takes no message.
    ``admit``: who decides about its call; by default whoever has ``TOKEN`` gets one."""

    def __init__(
        self,
        call_manager: CallManager,
        lobby: Lobby,
        returns_marks: bool = True,
        address: str = "",
        admit: Admit | None = None,
    ) -> None:
        self.received: list[dict[str, Any]] = []
        self.sound = bytearray()
        self.closed: tuple[int, str] | None = None
        self.calls: list[LiveCall] = []
        self.reads = asyncio.Event()
        self.reads.set()
        self._returns_marks = returns_marks
        self._admit_by = admit or admit_by_token
        self._to_server: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._to_server.put_nowait({"type": "websocket.connect"})
        websocket = WebSocket({"type": "websocket"}, self._to_server.get, self._take)
        self.serving = asyncio.create_task(serve_stream(websocket, call_manager, self._admit, lobby, address))

    def send(self, message: dict[str, Any] | str | bytes) -> None:
        match message:
            case bytes():
                self._put(bytes=message)
            case str():
                self._put(text=message)
            case dict():
                self._put(text=json.dumps(message))

    def disconnect(self, code: int = 1000) -> None:
        self._to_server.put_nowait({"type": "websocket.disconnect", "code": code})

    async def start(self, message: dict[str, Any] | None = None) -> LiveCall:
        """Returns the call when it is live."""
        self.send({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        self.send(message or started())
        await until(lambda: bool(self.calls))
        await self.call.live.wait()
        return self.call

    @property
    def call(self) -> LiveCall:
        (call,) = self.calls
        return call

    async def say(self, sec: float, sound: bytes = LOUD) -> None:
        """Send ``sound`` (20 ms) again and again, at real time."""
        for _ in range(round(sec / CHUNK_SEC)):
            self.send(media(sound))
            await asyncio.sleep(CHUNK_SEC)

    async def is_answered(self) -> bool:
        """Whether it hears what it says from now on."""
        self.sound.clear()
        await self.say(0.2)
        await until(lambda: len(self.sound) >= 640)
        return bool(np.abs(mu_law.decode(bytes(self.sound))).max() > 0.2)

    async def over(self) -> tuple[int, str]:
        """Wait for the end; returns the code and the reason of the close."""
        async with asyncio.timeout(10.0):
            await self.serving
        assert self.closed is not None
        assert len(self.closed[1].encode()) <= 123
        return self.closed

    def events(self, event: str) -> list[dict[str, Any]]:
        return [message for message in self.received if message["event"] == event]

    def _admit(self, start: Start) -> PhoneGrant:
        grant = self._admit_by(start)

        def note(call: LiveCall) -> None:
            self.calls.append(call)
            grant.on_call(call)

        return replace(grant, on_call=note)

    def _put(self, **content: str | bytes) -> None:
        self._to_server.put_nowait({"type": "websocket.receive", **content})

    async def _take(self, message: Any) -> None:
        match message["type"]:
            case "websocket.accept":
                pass
            case "websocket.close":
                assert self.closed is None
                self.closed = message["code"], message["reason"]
            case _:
                await self.reads.wait()
                self._receive(json.loads(message["text"]))

    def _receive(self, message: dict[str, Any]) -> None:
        assert message["streamSid"] == SID
        self.received.append(message)
        if message["event"] == "media":
            self.sound += base64.b64decode(message["media"]["payload"])
        elif message["event"] == "mark" and self._returns_marks:
            self.send(message)


def admit_by_token(start: Start) -> PhoneGrant:
    if start.parameters.get("token") != TOKEN:
        raise InvalidInput("token", "This call was not announced.")
    return PhoneGrant(SETTINGS, Transport.TWILIO)


Dial = Callable[..., Peer]


@asynccontextmanager
async def dialling(call_manager: CallManager) -> AsyncGenerator[Dial]:
    """Makes peers, and hangs them up afterwards."""
    lobby, peers = Lobby(), list[Peer]()

    def dial(**options: Any) -> Peer:
        peers.append(Peer(call_manager, lobby, **options))
        return peers[-1]

    yield dial
    for peer in peers:
        peer.reads.set()
        peer.disconnect()
        await peer.serving
    assert lobby.newcomers == 0
