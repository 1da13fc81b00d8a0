"""A Realtime client as a stranger writes it from OpenAI's reference: ``websockets`` and JSON."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncGenerator, Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

Sound = npt.NDArray[np.float32]
WITHIN_SEC = 15.0


class RealtimeClient:
    """``events``: as they came, less the sound, which is in ``sound``."""

    def __init__(self, websocket: ClientConnection) -> None:
        self.websocket = websocket
        self.events: list[dict[str, Any]] = []
        self.sound = b""
        self.close_code: int | None = None
        self.close_reason = ""
        self._changed = asyncio.Event()

    @property
    def closed(self) -> bool:
        return self.close_code is not None

    @property
    def kinds(self) -> list[str]:
        return [event["type"] for event in self.events]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]

    @property
    def faults(self) -> list[dict[str, Any]]:
        return [event["error"] for event in self.of("error")]

    async def send(self, kind: str, **values: Any) -> None:
        await self.send_raw(json.dumps({"type": kind, **values}))

    async def send_raw(self, message: str | bytes) -> None:
        with contextlib.suppress(ConnectionClosed):
            await self.websocket.send(message)

    async def say(self, sound: Sound) -> None:
        """All at once."""
        pcm = (np.clip(sound, -1.0, 1.0) * 32_767).astype("<i2").tobytes()
        await self.send("input_audio_buffer.append", audio=base64.b64encode(pcm).decode())

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(WITHIN_SEC):
            while not true():
                self._changed.clear()
                await self._changed.wait()

    async def until_event(self, kind: str, count: int = 1) -> dict[str, Any]:
        await self.until(lambda: len(self.of(kind)) >= count or self.closed)
        assert len(self.of(kind)) >= count, f"{self.close_reason} {self.kinds[-20:]}"
        return self.of(kind)[count - 1]

    async def read(self) -> None:
        try:
            async for message in self.websocket:
                event: dict[str, Any] = json.loads(message)
                if event["type"] in ("response.output_audio.delta", "response.audio.delta"):
                    self.sound += base64.b64decode(event["delta"])
                self.events.append(event)
                self._changed.set()
        except ConnectionClosed:
            pass
        finally:
            self.close_code = self.websocket.close_code
            self.close_reason = self.websocket.close_reason or ""
            self._changed.set()


@contextlib.asynccontextmanager
async def realtime(
    url: str,
    path: str = "/v1/realtime?model=any",
    headers: dict[str, str] | None = None,
    protocols: tuple[str, ...] = (),
) -> AsyncGenerator[RealtimeClient]:
    """A client of the app at ``url``, ``http://...``."""
    address = f"ws{url.removeprefix('http')}{path}"
    offered = [Subprotocol(each) for each in protocols] or None
    async with connect(address, additional_headers=headers, subprotocols=offered, proxy=None) as websocket:
        client = RealtimeClient(websocket)
        reading = asyncio.create_task(client.read())
        try:
            yield client
        finally:
            await websocket.close()
            await reading
