"""aiortc 1.16 and aioice 0.13: a jitter buffer of our own for received sound, and two smaller mends.

aiortc's jitter buffer holds back four packets, and after a lost one it waits until sixteen have come, for the
rest of the stream: each loss makes the delay grow, and it never shrinks
(https://github.com/aiortc/aiortc/issues/543). Besides, an RTP packet without a payload ends its Opus decoder
for good, and neither its decoder's queue nor the track's has a bound. There is no public way past all this.

So packets are taken where aiortc would put them into its buffer, ordered and concealed by ``JitterBuffer``,
decoded on the event loop (0.03 ms a packet, less than waking the decoder's thread) and put into the track.
The thread is left to tell that the track has ended.

Everything that knows private names of aiortc is here. tests/unit/compat/test_aiortc.py fails when they
change, and on the day a mend is not needed any more.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
from aioice import ice
from aiortc import RTCPeerConnection, RTCRtpReceiver
from aiortc.codecs import get_decoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtp import RtpPacket
from av import AudioFrame

from personaplex_ui.audio.network import opus_packet
from personaplex_ui.audio.network.jitter_buffer import JitterBuffer
from personaplex_ui.audio.network.packets import BufferCounts, Output, Packet

log = logging.getLogger(__name__)

CONSENT_INTERVAL_SEC = 2
CONSENT_FAILURES = 3
GATHERED_WITHIN_SEC = 10.0
MOST_QUEUED_FRAMES = 25
"""Half a second that was not asked for yet; beyond it the oldest is dropped."""

LONGEST_PACKET_SEC = 0.12
_BUFFER = "_RTCRtpReceiver__jitter_buffer"
_CODECS = "_RTCRtpReceiver__codecs"


def notice_dead_peers_soon() -> None:
    """Closed tabs after 6 s (RFC 7675 consent checks), where aioice takes 30 and has no option for it."""
    ice.CONSENT_INTERVAL = CONSENT_INTERVAL_SEC
    ice.CONSENT_FAILURES = CONSENT_FAILURES


peers_closing: set[asyncio.Task[None]] = set()
"""Those that are waited for before they can be closed."""


async def close_once_gathered(pc: RTCPeerConnection) -> None:
    """Close ``pc`` now, or in the background where its own offer is being answered.

    Closed while it gathers candidates, it would open sockets afterwards and never close them.
    """
    if pc.iceGatheringState != "gathering":
        await pc.close()
        return
    task = asyncio.create_task(_close_later(pc))
    peers_closing.add(task)
    task.add_done_callback(peers_closing.discard)


async def _close_later(pc: RTCPeerConnection) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(GATHERED_WITHIN_SEC):
            while pc.iceGatheringState == "gathering":  # noqa: ASYNC110  its events are FastRTC's
                await asyncio.sleep(0.02)
    await pc.close()


def replace_jitter_buffers(peer: RTCPeerConnection) -> list["InboundAudio"]:
    """One for each m-line of sound. To be called before a packet can come: before the answer is sent."""
    receivers = [each.receiver for each in peer.getTransceivers() if each.kind == "audio"]
    # One that only sends has no track, whatever the annotation says.
    receiving = [receiver for receiver in receivers if getattr(receiver, "track", None)]
    return [inbound for receiver in receiving if (inbound := replace_jitter_buffer(receiver))]


def replace_jitter_buffer(receiver: RTCRtpReceiver) -> "InboundAudio | None":
    """None, and a warning in the log, where aiortc is not what was expected: then its own buffer stays."""
    codecs: Any = getattr(receiver, _CODECS, None)
    queue: Any = getattr(receiver.track, "_queue", None)
    known = hasattr(receiver, _BUFFER) and isinstance(codecs, dict) and isinstance(queue, asyncio.Queue)
    if not known:
        log.warning("This version of aiortc is not known: lost packets will make calls lag. Install 1.16.")
        return None
    inbound = InboundAudio(codecs, queue)  # pyright: ignore[reportUnknownArgumentType]
    setattr(receiver, _BUFFER, inbound)
    return inbound


class InboundAudio:
    """Stands where aiortc's ``JitterBuffer`` stood; puts frames into the track's queue, never raises."""

    def __init__(
        self, codecs: dict[int, RTCRtpCodecParameters], frames: "asyncio.Queue[AudioFrame | None]"
    ) -> None:
        self._codecs = codecs
        self._frames = frames
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._codec: RTCRtpCodecParameters | None = None
        self._decoder: SoundDecoder | None = None
        self._buffer = JitterBuffer(opus_packet.RATE_HZ)
        self.counts: BufferCounts = self._buffer.counts
        """Of all streams, whichever codec they were in."""

    def add(self, packet: RtpPacket) -> tuple[bool, None]:
        """Called by aiortc for each packet of a codec it knows; the result: it has nothing to decode."""
        try:
            self._receive(packet)
        except Exception:
            log.exception("A packet of sound could not be used.")
        return False, None

    def _receive(self, packet: RtpPacket) -> None:
        codec = self._codecs[packet.payload_type]
        if self._decoder is None or codec is not self._codec:
            self._begin(codec)
        assert self._decoder is not None
        payload: bytes = getattr(packet, "_data")  # noqa: B009  what aiortc has depayloaded, private
        duration = self._decoder.duration_of(payload)
        now = self._loop.time()
        taken = Packet(packet.ssrc, packet.sequence_number, packet.timestamp, duration, payload)
        self._play(self._decoder, self._buffer.receive(taken, now))
        self._set_timer()

    def _begin(self, codec: RTCRtpCodecParameters) -> None:
        self._codec, self._decoder = codec, SoundDecoder(codec)
        self._buffer = JitterBuffer(codec.clockRate)
        self._buffer.counts = self.counts

    def _set_timer(self) -> None:
        """One that comes too early is not worth cancelling: it is set anew when it comes."""
        wake_at = self._buffer.wake_at
        if wake_at is None or (self._timer is not None and self._timer.when() <= wake_at):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(wake_at, self._wake)

    def _wake(self) -> None:
        self._timer = None
        try:
            if self._decoder is not None:
                self._play(self._decoder, self._buffer.poll(self._loop.time()))
        except Exception:
            log.exception("Lost sound could not be concealed.")
        self._set_timer()

    def _play(self, decoder: "SoundDecoder", outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, Packet):
                frames = decoder.decode(output.payload) if output.duration else []
            else:
                frames = decoder.conceal(output.duration)
            for frame in frames:
                self._put(frame)

    def _put(self, frame: AudioFrame) -> None:
        while self._frames.qsize() >= MOST_QUEUED_FRAMES:
            if self._frames.get_nowait() is None:  # the track has ended
                self._frames.put_nowait(None)
                return
        self._frames.put_nowait(frame)


class SoundDecoder:
    """One of aiortc's decoders, which makes up what it cannot decode. Never raises for what a peer sent."""

    def __init__(self, codec: RTCRtpCodecParameters) -> None:
        self._new_decoder: Callable[[], Any] = lambda: get_decoder(codec)
        self._decoder = self._new_decoder()
        self._rate_hz = codec.clockRate
        self._is_opus = codec.name.lower() == "opus"
        self._last = b""
        self._like: AudioFrame | None = None
        self._samples = 0

    def duration_of(self, payload: bytes) -> int:
        """In ticks of the codec's clock; 0 when ``payload`` is not sound."""
        if self._is_opus:
            return opus_packet.samples_of(payload)
        # A byte of G.711 and of G.722 is a tick.
        return len(payload) if len(payload) <= LONGEST_PACKET_SEC * self._rate_hz else 0

    def decode(self, payload: bytes) -> list[AudioFrame]:
        frames = self._try_to_decode(payload)
        if frames:
            self._last, self._like = payload, frames[-1]
            return frames
        return self.conceal(self.duration_of(payload))

    def conceal(self, ticks: int) -> list[AudioFrame]:
        """As long as ``ticks``: made up where the codec can do that, else silence."""
        if self._is_opus:
            packets = opus_packet.concealment(ticks, self._last)
            if frames := [frame for packet in packets for frame in self._try_to_decode(packet)]:
                return frames
        return self._silence(ticks)

    def _silence(self, ticks: int) -> list[AudioFrame]:
        like = self._like
        if like is None:
            return []
        samples = ticks * like.sample_rate // self._rate_hz
        sound = np.zeros((1, samples * len(like.layout.channels)), dtype=np.int16)
        frame = AudioFrame.from_ndarray(sound, "s16", like.layout.name)
        frame.sample_rate = like.sample_rate
        return [self._placed(frame)]

    def _try_to_decode(self, packet: bytes) -> list[AudioFrame]:
        if not packet:  # would end the decoder
            return []
        try:
            return [self._placed(frame) for frame in self._decoder.decode(JitterFrame(packet, 0))]
        except EOFError:
            self._decoder = self._new_decoder()
        except Exception as error:  # whatever PyAV makes of junk; the decoder goes on
            log.debug("Sound could not be decoded: %s", type(error).__name__)
        return []

    def _placed(self, frame: AudioFrame) -> AudioFrame:
        frame.pts = self._samples
        frame.time_base = Fraction(1, frame.sample_rate)
        self._samples += frame.samples
        return frame
