"""A microphone and its receiver: two peer connections with a bad network between them."""

import asyncio
import contextlib
import time
from typing import cast

import av
import numpy as np
from aiortc import MediaStreamError, RTCConfiguration, RTCPeerConnection
from aiortc.mediastreams import MediaStreamTrack

from benchmarks.jitter_report import BufferStats
from benchmarks.pulses import PULSE_EVERY, PulseListener, PulseSpeaker, pulse_delays
from personaplex_ui.audio.frames import SAMPLE_RATE_HZ
from personaplex_ui.compat.inbound_audio import replace_jitter_buffers
from tests.support.clients.browser import PACKET_SEC, RATE_HZ, Microphone
from tests.support.clients.impairment import Impairment
from tests.support.clients.relay import Relay

SETTLES_SEC = 1.0


async def measure_buffer(buffer: str, impairment: Impairment, seed: int, seconds: float) -> BufferStats:
    """``buffer``: ``aiortc`` or ``ours``. Delays are from a complete packet to its sound.

    Raises:
        PersonaplexError: the two cannot be connected.
    """
    sender, receiver = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    relay, speaker, listener = Relay(impairment, seed), PulseSpeaker(RATE_HZ, PACKET_SEC), PulseListener()
    sender.addTrack(Microphone(lambda: speaker.next_packet().samples))
    listening: asyncio.Task[None] | None = None
    try:
        await sender.setLocalDescription(await sender.createOffer())
        await receiver.setRemoteDescription(await relay.toward_server(sender.localDescription))
        await receiver.setLocalDescription(await receiver.createAnswer())
        if buffer == "ours":
            replace_jitter_buffers(
                receiver, lambda sound: listener.hear(time.monotonic(), sound, SAMPLE_RATE_HZ)
            )
        else:
            listening = asyncio.create_task(_listen(receiver.getReceivers()[0].track, listener))
        await sender.setRemoteDescription(relay.toward_client(receiver.localDescription))
        while not listener.heard_at:  # noqa: ASYNC110  a second or so, or the caller's patience
            await asyncio.sleep(0.05)
        await asyncio.sleep(SETTLES_SEC)
        began_at = time.monotonic()
        await asyncio.sleep(seconds)
    finally:
        if listening is not None:
            listening.cancel()
        await asyncio.gather(sender.close(), receiver.close())
        relay.close()
    delays = pulse_delays(speaker, listener, began_at, seconds - 1.0, PULSE_EVERY * PACKET_SEC)
    return BufferStats(buffer, delays, relay.done)


async def _listen(track: MediaStreamTrack, listener: PulseListener) -> None:
    with contextlib.suppress(MediaStreamError):
        while True:
            frame = cast(object, await track.recv())
            assert isinstance(frame, av.AudioFrame)
            sound = frame.to_ndarray().reshape(-1, len(frame.layout.channels)).astype(np.float32) / 32768.0
            listener.hear(time.monotonic(), sound[:, 0], frame.sample_rate)
