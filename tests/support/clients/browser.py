"""A browser's call over WebRTC: microphone out, sound in, and the facts that come over the data channel.

Sound is taken as it arrives, packet by packet: the jitter buffer of aiortc would hold back four packets.
"""

import asyncio
import json
import time
import uuid
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.codecs.opus import OpusDecoder
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.mediastreams import AudioStreamTrack, MediaStreamTrack
from aiortc.rtp import RtpPacket

from tests.support.clients.page import Page
from tests.support.clients.relay import Relay

RATE_HZ = 48_000
PACKET_SEC = 0.02
PACKET_SAMPLES = 960

Sound = npt.NDArray[np.float32]


class BrowserCall:
    """One call of an open page.

    ``say``: gives the next 20 ms of the microphone. ``hear``: takes the moment at which a packet arrived, and
    its sound. ``relay``: the bad network between, if any. ``facts``: the latest; ``lines``: all so far.
    ``told`` is called with each message of the server. ``over`` is set once the server has ended the call
    (``goodbye``: what it said) or the connection is gone.
    """

    def __init__(
        self,
        page: Page,
        say: Callable[[], Sound],
        hear: Callable[[float, Sound], None],
        relay: Relay | None = None,
        told: Callable[[dict[str, Any]], None] = lambda message: None,
    ) -> None:
        self.over = asyncio.Event()
        self.goodbye = ""
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._page = page
        self._hear = hear
        self._relay = relay
        self._told = told
        self.id = uuid.uuid4().hex[:11]
        self.facts: dict[str, Any] = {}
        self.lines: dict[int, dict[str, Any]] = {}
        self._decoder = OpusDecoder()
        self.peer.addTrack(Microphone(say))
        self.channel = self.peer.createDataChannel("text")
        self.channel.on("message", self._take)
        self.peer.on("track", self._take_packets)
        self.peer.on("connectionstatechange", self._look_at_connection)

    async def begin(self) -> dict[str, Any] | None:
        """Offer, and take the answer. What the server said instead of one, where it refused; else None."""
        await self.peer.setLocalDescription(await self.peer.createOffer())
        offer = self.peer.localDescription
        if self._relay is not None:
            offer = await self._relay.toward_server(offer)
        answered = await self._page.offer(self.id, offer.sdp, offer.type)
        if "sdp" not in answered:
            return answered
        answer = RTCSessionDescription(answered["sdp"], answered["type"])
        await self.peer.setRemoteDescription(self._relay.toward_client(answer) if self._relay else answer)
        return None

    async def close(self) -> None:
        await self.peer.close()
        if self._relay is not None:
            self._relay.close()

    def send(self, **message: object) -> None:
        """Say something to the server over the data channel: its ``type`` and fields."""
        self.channel.send(json.dumps(message))

    def _take(self, text: str) -> None:
        message = json.loads(text)
        self._told(message)
        match message:
            case {"type": "facts", "lines": lines, **facts}:
                self.facts = facts
                self.lines |= {line["n"]: line for line in lines}
                if facts["phase"] == "ended":
                    self.goodbye = facts["reason"]
                    self.over.set()
            case _:
                pass

    def _look_at_connection(self) -> None:
        if self.peer.connectionState in ("failed", "closed"):
            self.over.set()

    def _take_packets(self, track: MediaStreamTrack) -> None:
        for transceiver in self.peer.getTransceivers():
            receiver: Any = transceiver.receiver  # no public way leads past its jitter buffer
            receiver._RTCRtpReceiver__jitter_buffer = _Arrivals(self._decode)

    def _decode(self, payload: bytes, timestamp: int) -> None:
        arrived_at = time.monotonic()
        for decoded in self._decoder.decode(JitterFrame(payload, timestamp)):
            assert isinstance(decoded, av.AudioFrame)
            left = decoded.to_ndarray().reshape(-1, 2)[:, 0]
            self._hear(arrived_at, left.astype(np.float32) / 32768.0)


class _Arrivals(JitterBuffer):
    """Hands each packet over at once, and nothing to aiortc's own decoder."""

    def __init__(self, arrived: Callable[[bytes, int], None]) -> None:
        super().__init__(capacity=16)
        self._arrived = arrived

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        self._arrived(packet._data, packet.timestamp)  # type: ignore[attr-defined]  # pyright: ignore
        return False, None


class Microphone(AudioStreamTrack):
    """20 ms packets in real time."""

    def __init__(self, say: Callable[[], Sound]) -> None:
        super().__init__()
        self._say = say
        self._due = 0.0
        self._sent = 0

    async def recv(self) -> av.AudioFrame:
        self._due = (self._due or time.monotonic()) + PACKET_SEC
        await asyncio.sleep(max(0.0, self._due - time.monotonic()))
        sound = np.clip(self._say() * 32768.0, -32768, 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(sound[np.newaxis], "s16", "mono")
        frame.sample_rate = RATE_HZ
        frame.pts = self._sent * PACKET_SAMPLES
        frame.time_base = Fraction(1, RATE_HZ)
        self._sent += 1
        return frame
