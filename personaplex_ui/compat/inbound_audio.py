"""aiortc 1.16: our own jitter buffer for received sound.

aiortc's jitter buffer holds back four packets and, after a loss, waits for sixteen, for the rest of the
stream: each loss increases the delay, and it never shrinks (https://github.com/aiortc/aiortc/issues/543).
Also, an RTP packet without a payload ends its Opus decoder permanently, and neither the decoder's queue nor
the track's is bounded. There is no public way around this.

So packets are intercepted where aiortc would put them into its buffer, ordered and concealed by
``JitterBuffer``, and decoded on the event loop (0.03 ms per packet, less than waking the decoder's thread).
The thread still signals the end of the track.

Private names of aiortc are used only here and in ``aiortc``. tests/unit/compat/test_inbound_audio.py fails
when they change, or when a workaround is no longer needed.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any, cast

import numpy as np
from aiortc import RTCPeerConnection, RTCRtpReceiver
from aiortc.codecs import get_decoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtp import RtpPacket
from av import AudioFrame, AudioResampler

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples
from personaplex_ui.audio.network import opus_packet
from personaplex_ui.audio.network.half_rate import HalfRate
from personaplex_ui.audio.network.jitter_buffer import JitterBuffer
from personaplex_ui.audio.network.packets import BufferCounts, Output, Packet

log = logging.getLogger(__name__)

LONGEST_PACKET_SEC = 0.12
_BUFFER = "_RTCRtpReceiver__jitter_buffer"
_CODECS = "_RTCRtpReceiver__codecs"


def replace_jitter_buffers(peer: RTCPeerConnection, hear: Callable[[Samples], None]) -> list["InboundAudio"]:
    """Have the sound that ``peer`` receives given to ``hear``, mono at 24 kHz, instead of to its tracks. One
    buffer per audio m-line. Call it before any packet can arrive, that is before the answer is sent."""
    receivers = [each.receiver for each in peer.getTransceivers() if each.kind == "audio"]
    # A send-only receiver has no track, whatever the annotation says.
    receiving = [receiver for receiver in receivers if getattr(receiver, "track", None)]
    return [inbound for receiver in receiving if (inbound := replace_jitter_buffer(receiver, hear))]


def replace_jitter_buffer(receiver: RTCRtpReceiver, hear: Callable[[Samples], None]) -> "InboundAudio | None":
    """None, with a warning in the log, if aiortc has changed; its own buffer and its track are used then."""
    codecs: Any = getattr(receiver, _CODECS, None)
    take = ToSamples(hear)
    if not (hasattr(receiver, _BUFFER) and isinstance(codecs, dict)):
        log.warning("This version of aiortc is unknown: lost packets will make calls lag. Install 1.16.")
        task = asyncio.create_task(_read(receiver.track, take))
        _reading.add(task)
        task.add_done_callback(_reading.discard)
        return None
    inbound = InboundAudio(codecs, take)  # pyright: ignore[reportUnknownArgumentType]
    setattr(receiver, _BUFFER, inbound)
    return inbound


_reading: set[asyncio.Task[None]] = set()


async def _read(track: MediaStreamTrack, take: Callable[[AudioFrame], None]) -> None:
    with contextlib.suppress(MediaStreamError):
        while True:
            frame = cast(object, await track.recv())
            assert isinstance(frame, AudioFrame)
            take(frame)


class ToSamples:
    """Frames of any codec, 16 bit and mono, to samples at 24 kHz. Called with each frame."""

    def __init__(self, hear: Callable[[Samples], None]) -> None:
        self._hear = hear
        self._half_rate = HalfRate()
        self._resampler: AudioResampler | None = None
        self._rate_hz = 0

    def __call__(self, frame: AudioFrame) -> None:
        if frame.sample_rate == opus_packet.RATE_HZ and frame.layout.name == "mono":
            plane: Any = frame.planes[0]  # a buffer, which its stub does not say
            self._hear(self._half_rate.push(np.frombuffer(plane, np.int16, frame.samples)))
            return
        if self._resampler is None or frame.sample_rate != self._rate_hz:  # another codec
            self._resampler = AudioResampler("flt", "mono", SAMPLE_RATE_HZ)
            self._rate_hz = frame.sample_rate
        for resampled in self._resampler.resample(frame):
            self._hear(np.asarray(resampled.to_ndarray(), dtype=np.float32).reshape(-1))


class InboundAudio:
    """Replaces aiortc's ``JitterBuffer``; gives frames to ``take`` in order, and never raises."""

    def __init__(self, codecs: dict[int, RTCRtpCodecParameters], take: Callable[[AudioFrame], None]) -> None:
        self._codecs = codecs
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._clock = time.monotonic  # that of uvloop counts in milliseconds
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
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
        now = self._clock()
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
        if wake_at is None or (self._timer is not None and self._timer_at <= wake_at):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = wake_at
        self._timer = self._loop.call_later(max(0.0, wake_at - self._clock()), self._wake)

    def _wake(self) -> None:
        self._timer = None
        try:
            if self._decoder is not None:
                self._play(self._decoder, self._buffer.poll(self._clock()))
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
                self._take(frame)


class SoundDecoder:
    """Wraps one of aiortc's decoders and conceals what it cannot decode. Never raises for a peer's input."""

    def __init__(self, codec: RTCRtpCodecParameters) -> None:
        self._kind = codec
        self._rate_hz = codec.clockRate
        self._is_opus = codec.name.lower() == "opus"
        self._decoder = self._new_decoder()
        self._last = b""
        self._like: AudioFrame | None = None
        self._samples = 0
        self._time_base = Fraction(1, self._rate_hz)

    def _new_decoder(self) -> Any:
        decoder: Any = get_decoder(self._kind)
        if self._is_opus:
            decoder.codec.layout = "mono"  # libopus mixes the channels itself
        return decoder

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
        if frame.sample_rate != self._time_base.denominator:
            self._time_base = Fraction(1, frame.sample_rate)
        frame.time_base = self._time_base
        self._samples += frame.samples
        return frame
