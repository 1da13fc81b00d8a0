"""Our jitter buffer inside aiortc's receiver: what it reaches into is there, and nothing ends the sound.

When one of the first tests fails after an update of aiortc, look at
https://github.com/aiortc/aiortc/issues/543: its own buffer may do by now.
"""

import asyncio
import logging
import random
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any

import aiortc
import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.codecs.opus import OpusDecoder
from aiortc.jitterbuffer import JitterBuffer
from aiortc.mediastreams import AudioStreamTrack
from aiortc.rtp import RtpPacket
from av import AudioFrame

from personaplex_ui.compat import aiortc as compat
from personaplex_ui.compat.aiortc import (
    MOST_QUEUED_FRAMES,
    InboundAudio,
    replace_jitter_buffer,
    replace_jitter_buffers,
)
from tests.support.clients.offers import SOUND_OFFER
from tests.support.running import until
from tests.unit.audio.test_opus_packet import encode

OPUS, PCMU, G722 = 96, 0, 9


@pytest.fixture
async def receiver() -> AsyncGenerator[RTCRtpReceiver]:
    """Of a peer connection that has answered an offer, and is not connected."""
    ours, theirs = RTCPeerConnection(), RTCPeerConnection()
    theirs.addTrack(AudioStreamTrack())
    await theirs.setLocalDescription(await theirs.createOffer())
    await ours.setRemoteDescription(RTCSessionDescription(theirs.localDescription.sdp, "offer"))
    receiver: Any = ours.getTransceivers()[0].receiver  # its private names are what this is about
    transceiver: Any = ours.getTransceivers()[0]
    codecs = {codec.payloadType: codec for codec in transceiver._codecs}
    receiver._RTCRtpReceiver__codecs.update(codecs)  # as ``receive`` does once it is connected
    yield receiver
    await ours.close()
    await theirs.close()


async def send(receiver: Any, number: int, payload: bytes, **kind: int) -> None:
    """A packet comes in, 20 ms of stream time after the one before."""
    packet = RtpPacket(
        payload_type=kind.get("payload_type", OPUS),
        sequence_number=number & 0xFFFF,
        timestamp=number * kind.get("ticks", 960) & 0xFFFF_FFFF,
        ssrc=kind.get("ssrc", 1),
        payload=payload,
    )
    await receiver._handle_rtp_packet(packet, arrival_time_ms=0)


def queue_of(receiver: Any) -> "asyncio.Queue[Any]":
    return receiver.track._queue


def taken(receiver: RTCRtpReceiver) -> list[AudioFrame]:
    """What has come out so far."""
    queue = queue_of(receiver)
    return [queue.get_nowait() for _ in range(queue.qsize())]


def sound_sec(frames: list[AudioFrame]) -> float:
    return sum(frame.samples / frame.sample_rate for frame in frames)


# What it reaches into ------------------------------------------------------------------------------


def test_it_was_written_for_this_aiortc():
    assert aiortc.__version__.startswith("1.16."), (
        "read what has changed in rtcrtpreceiver.py, then raise this"
    )


async def test_the_buffer_it_replaces_is_the_one_that_lags(receiver: RTCRtpReceiver):
    buffer: Any = getattr(receiver, compat._BUFFER)  # pyright: ignore[reportPrivateUsage]
    assert type(buffer) is JitterBuffer
    held: Any = buffer
    assert (held.capacity, held._prefetch) == (16, 4)
    packets = encode(20)
    for number in range(4):
        await send(receiver, number, packets[number])
        assert held._packets[number] is not None, "it holds back what has come"


async def test_an_empty_packet_ends_aiortcs_own_decoder():
    """Why the payload is looked at before it is decoded."""
    from aiortc.jitterbuffer import JitterFrame

    decoder, packets = OpusDecoder(), encode(20)
    assert decoder.decode(JitterFrame(packets[0], 0))
    assert decoder.decode(JitterFrame(b"", 0)) == []
    with pytest.raises(EOFError):
        decoder.decode(JitterFrame(packets[1], 0))


async def gathering_peer() -> tuple[RTCPeerConnection, "asyncio.Task[None]"]:
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    await peer.setRemoteDescription(RTCSessionDescription(SOUND_OFFER, "offer"))
    answering = asyncio.create_task(peer.setLocalDescription(await peer.createAnswer()))
    while peer.iceGatheringState != "gathering":
        await asyncio.sleep(0)  # it takes a few milliseconds only
    return peer, answering


def sockets_of(peer: RTCPeerConnection) -> list[Any]:
    hidden: Any = peer
    transports = [hidden.sctp.transport.transport, hidden.getTransceivers()[0].receiver.transport.transport]
    return [socket for each in transports for socket in each.iceGatherer._connection._protocols]


async def test_a_peer_that_is_closed_while_it_gathers_keeps_its_sockets_in_aiortc_and_not_here():
    peer, answering = await gathering_peer()
    await peer.close()
    await answering
    assert sockets_of(peer) != [], "then it may be closed at once"
    for protocol in sockets_of(peer):
        await protocol.close()

    peer, answering = await gathering_peer()
    await compat.close_once_gathered(peer)
    assert peer.connectionState != "closed"
    await answering
    await until(lambda: not compat.peers_closing)
    assert (peer.connectionState, sockets_of(peer)) == ("closed", [])


def test_aioice_notices_a_dead_peer_after_half_a_minute():
    """In a process of its own: here it may be changed already."""
    asked = "from aioice import ice; print(ice.CONSENT_INTERVAL * ice.CONSENT_FAILURES)"
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, check=True)
    assert int(told.stdout) == 30 > compat.CONSENT_INTERVAL_SEC * compat.CONSENT_FAILURES


async def test_each_m_line_of_sound_gets_one(receiver: RTCRtpReceiver):
    peer = RTCPeerConnection()
    peer.addTransceiver("audio", direction="sendonly")
    assert replace_jitter_buffers(peer) == [], "nothing is received there"
    await peer.close()


async def test_another_aiortc_keeps_its_buffer_and_the_log_says_so(
    receiver: RTCRtpReceiver, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(compat, "_BUFFER", "_RTCRtpReceiver__buffer")
    with caplog.at_level(logging.WARNING):
        assert replace_jitter_buffer(receiver) is None
    assert "Install 1.16" in caplog.text


# What it does --------------------------------------------------------------------------------------


class Loop:
    """Stands for the event loop's clock: time passes when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[Timer] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> "Timer":
        self.timers.append(Timer(self, when, callback))
        return self.timers[-1]

    def pass_time(self, sec: float) -> None:
        self.now += sec
        for timer in [timer for timer in self.timers if timer.when() <= self.now]:
            timer.cancel()
            timer.callback()


@dataclass(eq=False)
class Timer:
    loop: Loop
    at: float
    callback: Callable[[], None]

    def when(self) -> float:
        return self.at

    def cancel(self) -> None:
        if self in self.loop.timers:
            self.loop.timers.remove(self)


@pytest.fixture
async def inbound(receiver: RTCRtpReceiver) -> InboundAudio:
    inbound = replace_jitter_buffer(receiver)
    assert inbound is not None
    vars(inbound)["_loop"] = Loop()
    return inbound


def pass_time(inbound: InboundAudio, sec: float) -> None:
    vars(inbound)["_loop"].pass_time(sec)


async def test_sound_is_in_the_track_as_soon_as_its_packet_has_come(
    receiver: RTCRtpReceiver, inbound: InboundAudio
):
    for number, packet in enumerate(encode(20)):
        await send(receiver, number, packet)
        (frame,) = taken(receiver)
        assert (frame.samples, frame.sample_rate, frame.pts) == (960, 48_000, number * 960)
    decoder_queue: Any = receiver._RTCRtpReceiver__decoder_queue  # type: ignore[attr-defined]  # pyright: ignore
    assert decoder_queue.empty(), "aiortc's decoder has nothing to do"
    assert inbound.counts.handed_on == 30


@pytest.mark.parametrize("layout", ["mono", "stereo"])
@pytest.mark.parametrize("packet_ms", [10, 20, 40, 60])
async def test_lost_packets_are_made_up(
    receiver: RTCRtpReceiver, inbound: InboundAudio, packet_ms: int, layout: str
):
    frames: list[AudioFrame] = []
    for number, packet in enumerate(encode(packet_ms, layout)):
        if number != 15:
            await send(receiver, number, packet, ticks=48 * packet_ms)
        pass_time(inbound, packet_ms / 1_000)
        frames += taken(receiver)
    counts = inbound.counts
    assert (counts.handed_on, counts.lost, counts.late) == (29, 1, 0)
    assert counts.concealed >= 1
    expected_ms = counts.handed_on * packet_ms + counts.concealed * min(packet_ms, 20)
    assert sound_sec(frames) == pytest.approx(expected_ms / 1_000)
    loudness = [float(np.sqrt(np.mean(np.square(f.to_ndarray().astype(float))))) for f in frames]
    assert min(loudness[1:]) > 300, "made up, and no silence"


async def test_nothing_that_is_sent_ends_the_sound(receiver: RTCRtpReceiver, inbound: InboundAudio):
    dice, packets = random.Random(6), encode(20)
    junk = [b"", b"\x03", b"\xff", b"\x00", *(dice.randbytes(dice.randrange(1, 1_400)) for _ in range(120))]
    for number, payload in enumerate(junk):
        await send(receiver, number, payload)
    taken(receiver)
    for number, packet in enumerate(packets, start=len(junk)):
        await send(receiver, number, packet)
    frames = taken(receiver)
    assert np.max(np.abs(frames[-1].to_ndarray())) > 6_000


async def test_a_client_may_change_its_codec(receiver: RTCRtpReceiver, inbound: InboundAudio):
    opus = encode(20)
    for number in range(10):
        await send(receiver, number, opus[number])
    assert {frame.sample_rate for frame in taken(receiver)} == {48_000}
    for number in (*range(10, 15), *range(16, 20)):
        await send(receiver, number, bytes(160), payload_type=PCMU, ticks=160)
    pass_time(inbound, 0.07)
    frames = taken(receiver)
    assert {frame.sample_rate for frame in frames} == {8_000}
    assert sound_sec(frames) >= 0.199
    for number in range(20, 25):
        await send(receiver, number, bytes(160), payload_type=G722, ticks=160)
    assert {frame.sample_rate for frame in taken(receiver)} == {16_000}
    await send(receiver, 25, opus[10])
    assert (inbound.counts.handed_on, inbound.counts.lost) == (25, 1)


async def test_a_packet_of_seconds_is_no_sound(receiver: RTCRtpReceiver, inbound: InboundAudio):
    await send(receiver, 0, bytes(60_000), payload_type=PCMU, ticks=160)
    assert taken(receiver) == []


async def test_what_nobody_takes_is_bounded(receiver: RTCRtpReceiver, inbound: InboundAudio):
    packets = encode(20, count=200)
    for number, packet in enumerate(packets):
        await send(receiver, number, packet)
    frames = taken(receiver)
    assert len(frames) == MOST_QUEUED_FRAMES
    assert frames[-1].pts == (len(packets) - 1) * 960, "the newest are kept"


async def test_the_end_of_the_track_is_kept_whatever_comes_after_it(
    receiver: RTCRtpReceiver, inbound: InboundAudio
):
    queue = queue_of(receiver)
    queue.put_nowait(None)
    for number, packet in enumerate(encode(20, count=100)):
        await send(receiver, number, packet)
    kept = [queue.get_nowait() for _ in range(queue.qsize())]
    assert None in kept
    assert len(kept) <= MOST_QUEUED_FRAMES
