"""Our jitter buffer inside aiortc's receiver: what it reaches into is there, and nothing ends the sound.

When one of the first tests fails after an update of aiortc, look at
https://github.com/aiortc/aiortc/issues/543: its own buffer may do by now.
"""

import logging
import random
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any

import aiortc
import numpy as np
import pytest
from aiortc import RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.codecs.opus import OpusDecoder
from aiortc.jitterbuffer import JitterBuffer
from aiortc.mediastreams import AudioStreamTrack
from aiortc.rtp import RtpPacket
from av import AudioFrame

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples
from personaplex_ui.compat import inbound_audio as compat
from personaplex_ui.compat.inbound_audio import InboundAudio, replace_jitter_buffer, replace_jitter_buffers
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


class Heard:
    """What has come out: mono at 24 kHz."""

    def __init__(self) -> None:
        self.chunks: list[Samples] = []

    def __call__(self, samples: Samples) -> None:
        assert (samples.ndim, samples.dtype) == (1, np.float32)
        self.chunks.append(samples)

    def take(self) -> list[Samples]:
        taken, self.chunks = self.chunks, []
        return taken

    @property
    def sec(self) -> float:
        return sum(map(len, self.chunks)) / SAMPLE_RATE_HZ


@pytest.fixture
def heard() -> Heard:
    return Heard()


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


async def test_each_m_line_of_sound_gets_one(receiver: RTCRtpReceiver):
    peer = RTCPeerConnection()
    peer.addTransceiver("audio", direction="sendonly")
    assert replace_jitter_buffers(peer, Heard()) == [], "nothing is received there"
    await peer.close()


async def test_another_aiortc_keeps_its_buffer_and_is_heard_through_its_track(
    receiver: RTCRtpReceiver,
    heard: Heard,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(compat, "_BUFFER", "_RTCRtpReceiver__buffer")
    with caplog.at_level(logging.WARNING):
        assert replace_jitter_buffer(receiver, heard) is None
    assert "Install 1.16" in caplog.text
    frame = AudioFrame.from_ndarray(np.zeros((1, 1_920), dtype=np.int16), "s16", "stereo")
    frame.sample_rate = 48_000
    queue: Any = receiver.track._queue  # type: ignore[attr-defined]  # pyright: ignore
    queue.put_nowait(frame)
    queue.put_nowait(None)  # the end of the track
    await until(lambda: heard.sec > 0.015)


# What it does --------------------------------------------------------------------------------------


class Loop:
    """Stands for the event loop's clock: time passes when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[Timer] = []

    def time(self) -> float:
        return self.now

    def call_later(self, sec: float, callback: Callable[[], None]) -> "Timer":
        self.timers.append(Timer(self, self.now + sec, callback))
        return self.timers[-1]

    def pass_time(self, sec: float) -> None:
        self.now += sec
        for timer in [timer for timer in self.timers if timer.at <= self.now]:
            timer.cancel()
            timer.callback()


@dataclass(eq=False)
class Timer:
    loop: Loop
    at: float
    callback: Callable[[], None]

    def cancel(self) -> None:
        if self in self.loop.timers:
            self.loop.timers.remove(self)


@pytest.fixture
async def inbound(receiver: RTCRtpReceiver, heard: Heard) -> InboundAudio:
    inbound = replace_jitter_buffer(receiver, heard)
    assert inbound is not None
    loop = Loop()
    vars(inbound).update(_loop=loop, _clock=loop.time)
    return inbound


def pass_time(inbound: InboundAudio, sec: float) -> None:
    vars(inbound)["_loop"].pass_time(sec)


async def test_sound_is_heard_as_soon_as_its_packet_has_come(
    receiver: RTCRtpReceiver, inbound: InboundAudio, heard: Heard
):
    for number, packet in enumerate(encode(20)):
        await send(receiver, number, packet)
        (chunk,) = heard.take()
        assert 450 <= len(chunk) <= 480, "the filter keeps its first samples"
    decoder_queue: Any = receiver._RTCRtpReceiver__decoder_queue  # type: ignore[attr-defined]  # pyright: ignore
    assert decoder_queue.empty(), "aiortc's decoder has nothing to do"
    assert inbound.counts.handed_on == 30


@pytest.mark.parametrize("layout", ["mono", "stereo"])
@pytest.mark.parametrize("packet_ms", [10, 20, 40, 60])
async def test_lost_packets_are_made_up(
    receiver: RTCRtpReceiver, inbound: InboundAudio, heard: Heard, packet_ms: int, layout: str
):
    for number, packet in enumerate(encode(packet_ms, layout)):
        if number != 15:
            await send(receiver, number, packet, ticks=48 * packet_ms)
        pass_time(inbound, packet_ms / 1_000)
    counts = inbound.counts
    assert (counts.handed_on, counts.lost, counts.late) == (29, 1, 0)
    assert counts.concealed >= 1
    expected_ms = counts.handed_on * packet_ms + counts.concealed * min(packet_ms, 20)
    assert heard.sec == pytest.approx(expected_ms / 1_000, abs=0.002)
    loudness = [float(np.sqrt(np.mean(np.square(chunk)))) for chunk in heard.chunks]
    assert min(loudness[1:]) > 0.01, "made up, and no silence"


@pytest.mark.parametrize("layout", ["mono", "stereo"])
async def test_the_sound_of_both_channels_keeps_its_pitch_and_level(
    receiver: RTCRtpReceiver, inbound: InboundAudio, heard: Heard, layout: str
):
    for number, packet in enumerate(encode(20, layout, count=60)):
        await send(receiver, number, packet)
    sound = np.concatenate(heard.chunks)[-SAMPLE_RATE_HZ:]
    assert np.max(np.abs(sound)) == pytest.approx(8_000 / 32_768, rel=0.1)
    assert np.argmax(np.abs(np.fft.rfft(sound))) == pytest.approx(220, abs=2)


async def test_nothing_that_is_sent_ends_the_sound(
    receiver: RTCRtpReceiver, inbound: InboundAudio, heard: Heard
):
    dice, packets = random.Random(6), encode(20)
    junk = [b"", b"\x03", b"\xff", b"\x00", *(dice.randbytes(dice.randrange(1, 1_400)) for _ in range(120))]
    for number, payload in enumerate(junk):
        await send(receiver, number, payload)
    heard.take()
    for number, packet in enumerate(packets, start=len(junk)):
        await send(receiver, number, packet)
    assert np.max(np.abs(heard.chunks[-1])) > 0.18


async def test_a_client_may_change_its_codec(receiver: RTCRtpReceiver, inbound: InboundAudio, heard: Heard):
    opus = encode(20)
    for number in range(10):
        await send(receiver, number, opus[number])
    assert sum(map(len, heard.take())) == pytest.approx(4_800, abs=50)
    for number in (*range(10, 15), *range(16, 20)):
        await send(receiver, number, bytes(160), payload_type=PCMU, ticks=160)
    pass_time(inbound, 0.07)
    assert sum(map(len, heard.take())) == pytest.approx(4_800, abs=150)
    for number in range(20, 25):
        await send(receiver, number, bytes(160), payload_type=G722, ticks=160)
    assert sum(map(len, heard.take())) == pytest.approx(2_400, abs=100)
    await send(receiver, 25, opus[10])
    assert (inbound.counts.handed_on, inbound.counts.lost) == (25, 1)


async def test_a_packet_of_seconds_is_no_sound(receiver: RTCRtpReceiver, inbound: InboundAudio, heard: Heard):
    await send(receiver, 0, bytes(60_000), payload_type=PCMU, ticks=160)
    assert heard.chunks == []


async def test_nothing_is_left_in_the_track_that_nobody_reads(
    receiver: RTCRtpReceiver, inbound: InboundAudio
):
    for number, packet in enumerate(encode(20, count=200)):
        await send(receiver, number, packet)
    queue: Any = receiver.track._queue  # type: ignore[attr-defined]  # pyright: ignore
    assert queue.qsize() == 0


async def test_what_hears_may_fail_and_hears_the_next_sound(
    receiver: RTCRtpReceiver, caplog: pytest.LogCaptureFixture
):
    def break_down(samples: Samples) -> None:
        raise RuntimeError("a fault of ours")

    replace_jitter_buffer(receiver, break_down)
    for number, packet in enumerate(encode(20)[:3]):
        await send(receiver, number, packet)
    assert caplog.text.count("could not be used") == 3
