"""The assistant's sound as a WebRTC track: Opus packets that are encoded already, each when it is due."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from fractions import Fraction
from typing import Any

from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import Packet

from personaplex_ui.audio.frames import Samples
from personaplex_ui.audio.network.opus_encoder import OpusEncoder
from personaplex_ui.errors import CallOver

PACKET_SEC = 0.02
RTP_TIME_BASE = Fraction(1, 48_000)
"""Of Opus in RTP, whatever its rate (RFC 7587, 4.1)."""

PACKET_TICKS = 960

CATCHES_UP_SEC = 0.04
"""Packets no later than this are sent at once, the next ones when they would have been due: players absorb
that much, and else all later sound would be as late for the rest of the call."""


class AnswerTrack(MediaStreamTrack):
    """``next_sound``: the next sound, a multiple of 20 ms; it is asked when the last packet has been sent.
    Raises CallOver at the end."""

    kind = "audio"

    def __init__(self, next_sound: Callable[[], Awaitable[Samples]]) -> None:
        super().__init__()
        self._next_sound = next_sound
        self._encoder = OpusEncoder()
        self._packets: deque[bytes] = deque()
        self._due = 0.0
        self._sent = 0

    async def recv(self) -> "Packet[Any]":
        """aiortc's sender takes a packet and sends it at once.

        Raises:
            MediaStreamError: there is no more.
        """
        try:
            while not self._packets:
                self._packets.extend(self._encoder.encode(await self._next_sound()))
        except CallOver:
            self.stop()
        if self.readyState != "live":
            raise MediaStreamError
        now = time.monotonic()
        self._due = max(self._due, now - CATCHES_UP_SEC) if self._sent else now
        if self._due > now:
            await asyncio.sleep(self._due - now)
        self._due += PACKET_SEC
        packet: Packet[Any] = Packet(self._packets.popleft())
        packet.pts, packet.time_base = self._sent * PACKET_TICKS, RTP_TIME_BASE
        self._sent += 1
        return packet
