"""A Moshi client as a stranger writes it from the protocol's page: ``websockets``, ``sphn``, nothing of ours.

The microphone runs all the time once the handshake came, in real time: what ``say`` was given, else silence.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import numpy as np
import numpy.typing as npt
import sphn
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

Sound = npt.NDArray[np.float32]

RATE_HZ = 24_000
FRAME_SAMPLES = 1_920
FRAME_SEC = 0.08
OPEN_WITHIN_SEC = 60.0


class MoshiClient:
    """What came over one connection, as it came.

    ``next_frame``: gives what the microphone hears next, 80 ms; else it is what ``say`` was given. ``hear``:
    takes the moment at which sound arrived, and the sound.
    """

    def __init__(
        self,
        websocket: ClientConnection,
        next_frame: Callable[[], Sound] | None = None,
        hear: Callable[[float, Sound], None] = lambda arrived_at, sound: None,
        pcm: bool = False,
    ) -> None:
        self.websocket = websocket
        self._pcm = pcm
        self._next_frame = next_frame or self._said_or_silence
        self._hear = hear
        self.kinds: list[int] = []
        self.sound: list[Sound] = []
        self.texts: list[str] = []
        self.states: list[dict[str, Any]] = []
        self.errors: list[str] = []
        self.close_code: int | None = None
        self.close_reason = ""
        self.waited_sec = 0.0
        """The longest time for which nothing came."""
        self._reader: Any = sphn.OpusStreamReader(RATE_HZ)
        self._writer: Any = sphn.OpusStreamWriter(RATE_HZ)
        self._to_say: list[Sound] = []
        self._changed = asyncio.Event()

    @property
    def ready(self) -> bool:
        return 0x00 in self.kinds

    @property
    def closed(self) -> bool:
        return self.close_code is not None

    @property
    def text(self) -> str:
        return "".join(self.texts)

    @property
    def loudness(self) -> list[float]:
        """The RMS of each frame heard."""
        sound = np.concatenate([*self.sound, np.zeros(0, dtype=np.float32)])
        frames = sound[: len(sound) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
        return [float(np.sqrt(np.mean(frame**2))) for frame in frames]

    def heard(self, since_frame: int = 0) -> Sound:
        return np.concatenate([*self.sound, np.zeros(0, dtype=np.float32)])[since_frame * FRAME_SAMPLES :]

    # What it sends ----------------------------------------------------------------------------------

    def say(self, sound: Sound) -> None:
        """Put ``sound``, whole frames, before the microphone."""
        self._to_say.extend(sound.reshape(-1, FRAME_SAMPLES))

    async def speak(self, text: str) -> None:
        await self.send(b"\x07" + text.encode())

    async def send(self, message: bytes | str) -> None:
        with contextlib.suppress(ConnectionClosed):
            await self.websocket.send(message)

    def audio(self, frame: Sound) -> bytes:
        if self._pcm:
            return b"\x01" + (np.clip(frame, -1.0, 1.0) * 32_767).astype("<i2").tobytes()
        return b"\x01" + self._writer.append_pcm(frame)

    def _decoded(self, sound: bytes) -> Sound:
        if self._pcm:
            return np.frombuffer(sound, dtype="<i2").astype(np.float32) / np.float32(32_768)
        return self._reader.append_bytes(sound)

    async def _run_microphone(self) -> None:
        await self.until(lambda: self.ready or self.closed)
        due = time.monotonic()
        while not self.closed:
            await self.send(self.audio(self._next_frame()))
            due += FRAME_SEC
            await asyncio.sleep(due - time.monotonic())

    def _said_or_silence(self) -> Sound:
        return self._to_say.pop(0) if self._to_say else np.zeros(FRAME_SAMPLES, dtype=np.float32)

    # What it hears ----------------------------------------------------------------------------------

    async def until(self, true: Callable[[], bool], within_sec: float | None = 40.0) -> None:
        """Wait until ``true`` after a message, or say what came instead."""
        try:
            async with asyncio.timeout(within_sec):
                while not true():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"Waited in vain; came: {self}") from None

    async def _listen(self) -> None:
        last = time.monotonic()
        try:
            async for message in self.websocket:
                self.waited_sec = max(self.waited_sec, time.monotonic() - last)
                last = time.monotonic()
                assert isinstance(message, bytes)
                self._take(message)
                self._changed.set()
        except ConnectionClosed:
            pass
        self.close_code = self.websocket.close_code or 1006
        self.close_reason = self.websocket.close_reason or ""
        self._changed.set()

    def _take(self, message: bytes) -> None:
        kind, content = message[0], message[1:]
        self.kinds.append(kind)
        match kind:
            case 0x01:
                self.sound.append(self._decoded(content))
                self._hear(time.monotonic(), self.sound[-1])
            case 0x02:
                self.texts.append(content.decode())
            case 0x04:
                self.states.append(json.loads(content))
            case 0x05:
                self.errors.append(content.decode())
            case _:
                assert message in (b"\x00", b"\x06")

    def __str__(self) -> str:
        return (
            f"{len(self.kinds)} messages, states {self.states[-2:]}, text {self.text[-80:]!r}, "
            f"errors {self.errors[-3:]}, close {self.close_code} {self.close_reason!r}"
        )


@contextlib.asynccontextmanager
async def chat(
    url: str,
    query: Mapping[str, str] | None = None,
    path: str = "/api/chat",
    microphone: bool = True,
    tells_state: bool = True,
    next_frame: Callable[[], Sound] | None = None,
    hear: Callable[[float, Sound], None] = lambda arrived_at, sound: None,
    headers: Mapping[str, str] | None = None,
) -> AsyncGenerator[MoshiClient]:
    """Connect to the app at ``url`` (``http://...``), hang up at the end. ``tells_state``: ask for 04 and 06,
    as clients of other servers do not. ``headers``: what a browser sends along, say."""
    asked = {**(query or {}), **({"state": "1"} if tells_state else {})}
    address = f"{url.replace('http', 'ws', 1)}{path}?{urlencode(asked)}"
    pcm = asked.get("audio") == "pcm16"
    # A busy machine may need long for the handshakes of many at once.
    connecting = connect(
        address, max_size=None, proxy=None, additional_headers=headers, open_timeout=OPEN_WITHIN_SEC
    )
    async with connecting as websocket:
        client = MoshiClient(websocket, next_frame, hear, pcm)
        listening = asyncio.create_task(client._listen())  # pyright: ignore[reportPrivateUsage]
        talking = asyncio.create_task(client._run_microphone()) if microphone else None  # pyright: ignore[reportPrivateUsage]
        try:
            yield client
        finally:
            if talking is not None:
                talking.cancel()
            await websocket.close()
            await listening
