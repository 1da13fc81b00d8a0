"""Twilio's part of a media stream: a telephone that speaks and listens at real time, with Twilio's play-out.

``TwilioPeer`` sends the caller's sound every 20 ms, keeps what comes in a buffer, plays it at real time 40 ms
later, returns marks when what lies before them was played, and empties the buffer on ``clear``.
"""

import asyncio
import base64
import contextlib
import itertools
import json
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

CHUNK_SEC = 0.02
CHUNK_BYTES = 160
SILENCE = b"\xff" * CHUNK_BYTES
PLAYED_BEHIND_CHUNKS = 2
"""So many must lie in the buffer before it begins to play."""
GAP_SEC = 0.06
BUSY_MACHINE_GAP_SEC = 0.12
STREAM_SID = "MZ18ad3ab5a668481ce02b83e7395059f0"
CALL_SID = "CA0123456789abcdef0123456789abcdef"


class TwilioPeer:
    """One stream on an open websocket. ``said`` and ``played`` (mu-law) have the same clock, chunk by chunk.

    ``hear``: takes the moment at which a message of sound came (``arrivals_sec``), and the sound.
    ``late_sec``: by how much the latest of its own chunks was late: so long its event loop was held up, which
    is nobody else's fault. Where it judges gaps, the server must have another loop.
    """

    def __init__(
        self,
        websocket: ClientConnection,
        returns_marks: bool = True,
        hear: Callable[[float, bytes], None] = lambda arrived_at, sound: None,
        stream_sid: str = STREAM_SID,
    ) -> None:
        self.websocket = websocket
        self.returns_marks = returns_marks
        self._hear = hear
        self._stream_sid = stream_sid
        self.received = bytearray()
        self.said = bytearray()
        self.played = bytearray()
        self.arrivals_sec: list[float] = []
        self.payload_bytes: set[int] = set()
        self.marks = 0
        self.clears = 0
        self.late_sec = 0.0
        self._buffer: deque[bytes | str] = deque()
        self._plays = False
        self._sequence = 0
        self._began_at = 0.0

    async def start(self, parameters: Mapping[str, str] | None = None, call_sid: str = CALL_SID) -> None:
        """Connected, then start, as Twilio sends them."""
        await self._send({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        start = {
            "accountSid": "AC0123456789abcdef0123456789abcdef",
            "streamSid": self._stream_sid,
            "callSid": call_sid,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": dict(parameters or {}),
        }
        await self._send_numbered("start", start=start)
        self._began_at = time.monotonic()

    async def say(self, sound: bytes) -> None:
        """Send ``sound`` (mu-law) at real time, and play what is there meanwhile.

        Raises:
            ConnectionClosed: the server ended the stream.
        """
        for at in range(0, len(sound), CHUNK_BYTES):
            chunk = sound[at : at + CHUNK_BYTES].ljust(CHUNK_BYTES, b"\xff")
            due = self._began_at + len(self.said) / CHUNK_BYTES * CHUNK_SEC
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            self.late_sec = max(self.late_sec, time.monotonic() - due)
            await self._return_marks()
            self.played += self._play()
            self.said += chunk
            await self._send_media(chunk, len(self.said) // 8)

    async def listen_for(self, sec: float) -> None:
        """Say nothing, as a telephone does: it sends silence."""
        await self.say(SILENCE * round(sec / CHUNK_SEC))

    async def press(self, digit: str) -> None:
        await self._send_numbered("dtmf", dtmf={"track": "inbound_track", "digit": digit})

    async def stop(self, call_sid: str = CALL_SID) -> None:
        """The caller hangs up."""
        stop = {"accountSid": "AC0123456789abcdef0123456789abcdef", "callSid": call_sid}
        await self._send_numbered("stop", stop=stop)

    @property
    def longest_gap_sec(self) -> float:
        """Between two sound messages that came one after the other."""
        pairs = itertools.pairwise(self.arrivals_sec)
        return max((after - before for before, after in pairs), default=0.0)

    @property
    def was_held_up(self) -> bool:
        """The machine was too busy for it to measure anything."""
        return self.late_sec > GAP_SEC

    def check_sound_flowed(self) -> None:
        """In messages of 20 ms without a gap, but for what it was late itself, and that within bounds."""
        assert self.payload_bytes == {CHUNK_BYTES}, f"messages of {self.payload_bytes} bytes"
        gap_sec, late_sec = self.longest_gap_sec, self.late_sec
        allowed_sec = min(GAP_SEC + late_sec, BUSY_MACHINE_GAP_SEC)
        assert gap_sec <= allowed_sec, f"a gap of {gap_sec:.3f} s; the peer itself was {late_sec:.3f} s late"

    async def receive(self) -> None:
        """Take what comes until the websocket closes."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self._take(json.loads(await self.websocket.recv()))

    async def _take(self, message: dict[str, Any]) -> None:
        assert message["streamSid"] == self._stream_sid
        match message:
            case {"event": "media", "media": {"payload": str(payload)}}:
                sound = base64.b64decode(payload, validate=True)
                self.arrivals_sec.append(time.monotonic())
                self._hear(self.arrivals_sec[-1], sound)
                self.payload_bytes.add(len(sound))
                self.received += sound
                self._buffer.append(sound)
            case {"event": "mark", "mark": {"name": str(name)}}:
                self._buffer.append(name)
            case {"event": "clear"}:
                self.clears += 1
                self._buffer = deque(name for name in self._buffer if isinstance(name, str))
                await self._return_marks()
            case _:
                raise AssertionError(f"Twilio knows no such message: {message}")

    def _play(self) -> bytes:
        chunks = sum(isinstance(sound, bytes) for sound in self._buffer)
        self._plays = chunks > 0 if self._plays else chunks >= PLAYED_BEHIND_CHUNKS
        sound = self._buffer.popleft() if self._plays else SILENCE
        assert isinstance(sound, bytes), "marks are returned before anything is played"
        return sound

    async def _return_marks(self) -> None:
        while self._buffer and isinstance(self._buffer[0], str):
            name = self._buffer.popleft()
            if self.returns_marks:
                self.marks += 1
                await self._send_numbered("mark", mark={"name": name})

    async def _send_media(self, chunk: bytes, timestamp_ms: int) -> None:
        payload = base64.b64encode(chunk).decode()
        media = {"track": "inbound", "chunk": "1", "timestamp": str(timestamp_ms), "payload": payload}
        await self._send_numbered("media", media=media)

    async def _send_numbered(self, event: str, **parts: Any) -> None:
        self._sequence += 1
        await self._send(
            {"event": event, "sequenceNumber": str(self._sequence), **parts, "streamSid": self._stream_sid}
        )

    async def _send(self, message: dict[str, Any]) -> None:
        await self.websocket.send(json.dumps(message))


@contextlib.asynccontextmanager
async def twilio_peer(
    url: str,
    returns_marks: bool = True,
    hear: Callable[[float, bytes], None] = lambda arrived_at, sound: None,
    stream_sid: str = STREAM_SID,
    **options: Any,
) -> AsyncGenerator[TwilioPeer]:
    """A connected peer; ``url`` begins with ``ws://``. What comes is taken until the block ends."""
    async with connect(url, compression=None, proxy=None, **options) as websocket:
        peer = TwilioPeer(websocket, returns_marks, hear, stream_sid)
        async with asyncio.TaskGroup() as group:
            receiving = group.create_task(peer.receive())
            try:
                yield peer
            finally:
                receiving.cancel()
