"""aiortc 1.16 and aioice 0.13: our own jitter buffer for received sound, and two smaller workarounds.

aiortc's jitter buffer holds back four packets and, after a loss, waits for sixteen, for the rest of the
stream: each loss increases the delay, and it never shrinks (https://github.com/aiortc/aiortc/issues/543).
Also, an RTP packet without a payload ends its Opus decoder permanently, and neither the decoder's queue nor
the track's is bounded. There is no public way around this.

So packets are intercepted where aiortc would put them into its buffer, ordered and concealed by
``JitterBuffer``, decoded on the event loop (0.03 ms per packet, less than waking the decoder's thread) and
put into the track. The thread still signals the end of the track.

Private names of aiortc are used only here. tests/unit/compat/test_aiortc.py fails when they change, or when a
workaround is no longer needed.
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
"""Half a second of unread sound; beyond it the oldest is dropped."""

LONGEST_PACKET_SEC = 0.12
_BUFFER = "_RTCRtpReceiver__jitter_buffer"
_CODECS = "_RTCRtpReceiver__codecs"


def notice_dead_peers_soon() -> None:
    """Detect closed tabs after 6 s (RFC 7675 consent checks); aioice takes 30 s and has no option for it."""
    ice.CONSENT_INTERVAL = CONSENT_INTERVAL_SEC
    ice.CONSENT_FAILURES = CONSENT_FAILURES


peers_closing: set[asyncio.Task[None]] = set()
"""Tasks that close peers once they have gathered candidates."""


async def close_once_gathered(pc: RTCPeerConnection) -> None:
    """Close ``pc`` now, or in the background if its offer is still being answered.

    If closed while it gathers candidates, it would open sockets afterwards and never close them.
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
    """One buffer per audio m-line. Call it before any packet can arrive, that is before the answer is
    sent."""
    receivers = [each.receiver for each in peer.getTransceivers() if each.kind == "audio"]
    # A send-only receiver has no track, whatever the annotation says.
    receiving = [receiver for receiver in receivers if getattr(receiver, "track", None)]
    return [inbound for receiver in receiving if (inbound := replace_jitter_buffer(receiver))]


def replace_jitter_buffer(receiver: RTCRtpReceiver) -> "InboundAudio | None":
    """None, with a warning in the log, if aiortc has changed; its own buffer then stays."""
    codecs: Any = getattr(receiver, _CODECS, None)
    queue: Any = getattr(receiver.track, "_queue", None)
    known = hasattr(receiver, _BUFFER) and isinstance(codecs, dict) and isinstance(queue, asyncio.Queue)
    if not known:
        log.warning("This version of aiortc is unknown: lost packets will make calls lag. Install 1.16.")
        return None
    inbound = InboundAudio(codecs, queue)  # pyright: ignore[reportUnknownArgumentType]
    setattr(receiver, _BUFFER, inbound)
    return inbound


class InboundAudio:
    """Replaces aiortc's ``JitterBuffer``; puts frames into the track's queue and never raises."""

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
        """Counts of all streams, in any codec."""

    def add(self, packet: RtpPacket) -> tuple[bool, None]:
        """aiortc calls this for each packet of a known codec; the result means that it has nothing to
        decode."""
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
        payload: bytes = getattr(packet, "_data")  # noqa: B009  private: the payload that aiortc extracted
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
        """A timer that fires too early is not cancelled; it is set again when it fires."""
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
    """Wraps one of aiortc's decoders and conceals what it cannot decode. Never raises for a peer's input."""

    def __init__(self, codec: RTCRtpCodecParameters) -> None:
        self._new_decoder: Callable[[], Any] = lambda: get_decoder(codec)
        self._decoder = self._new_decoder()
        self._rate_hz = codec.clockRate
        self._is_opus = codec.name.lower() == "opus"
        self._last = b""
        self._like: AudioFrame | None = None
        self._samples = 0

    def duration_of(self, payload: bytes) -> int:
        """In ticks of the codec's clock; 0 if ``payload`` is not sound."""
        if self._is_opus:
            return opus_packet.samples_of(payload)
        # In G.711 and G.722 one byte is one tick.
        return len(payload) if len(payload) <= LONGEST_PACKET_SEC * self._rate_hz else 0

    def decode(self, payload: bytes) -> list[AudioFrame]:
        frames = self._try_to_decode(payload)
        if frames:
            self._last, self._like = payload, frames[-1]
            return frames
        return self.conceal(self.duration_of(payload))

    def conceal(self, ticks: int) -> list[AudioFrame]:
        """Frames of ``ticks``: concealed by the codec if it can, otherwise silence."""
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
        except Exception as error:  # PyAV may raise anything for junk; the decoder goes on
            log.debug("Sound could not be decoded: %s", type(error).__name__)
        return []

    def _placed(self, frame: AudioFrame) -> AudioFrame:
        frame.pts = self._samples
        frame.time_base = Fraction(1, frame.sample_rate)
        self._samples += frame.samples
        return frame
