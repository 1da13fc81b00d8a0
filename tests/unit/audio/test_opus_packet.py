"""Opus packets told by their first bytes, against what the decoder makes of them."""

import random
from fractions import Fraction
from typing import Any, cast

import av
import numpy as np
import numpy.typing as npt
import pytest
from aiortc.codecs.opus import OpusDecoder
from aiortc.jitterbuffer import JitterFrame
from av.error import FFmpegError

from personaplex_ui.audio.network.opus_packet import MOST_SAMPLES, concealment, samples_of

RATE_HZ = 48_000


def encode(packet_ms: int, layout: str = "mono", application: str = "voip", count: int = 30) -> list[bytes]:
    """A tone of 220 Hz, a quarter of full scale."""
    encoder = av.CodecContext.create("libopus", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.bit_rate, encoder.format, encoder.sample_rate = 32_000, "s16", RATE_HZ
    encoder.layout = layout
    encoder.time_base = Fraction(1, RATE_HZ)
    encoder.options = {"application": application, "frame_duration": str(packet_ms)}
    samples, packets = RATE_HZ * packet_ms // 1_000, list[bytes]()
    for number in range(count):
        time_sec = (np.arange(samples) + number * samples) / RATE_HZ
        tone = (8_000 * np.sin(2 * np.pi * 220 * time_sec)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(
            np.repeat(tone, 2 if layout == "stereo" else 1)[np.newaxis], "s16", layout
        )
        frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, number * samples, Fraction(1, RATE_HZ)
        encoded = cast(list[Any], encoder.encode(frame))
        packets += [bytes(packet) for packet in encoded]
    return packets


def decode(decoder: OpusDecoder, packets: list[bytes]) -> npt.NDArray[np.float64]:
    """The left channel."""
    frames = [frame for packet in packets for frame in decoder.decode(JitterFrame(packet, 0))]
    sound = [frame.to_ndarray().reshape(-1, 2)[:, 0] for frame in frames if isinstance(frame, av.AudioFrame)]
    return np.concatenate([*sound, np.zeros(0)]).astype(np.float64)


def loudness(sound: npt.NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(np.square(sound))))


@pytest.mark.parametrize("application", ["voip", "audio", "lowdelay"])
@pytest.mark.parametrize("layout", ["mono", "stereo"])
@pytest.mark.parametrize("packet_ms", [10, 20, 40, 60])
def test_a_packets_length_is_known_before_it_is_decoded(packet_ms: int, layout: str, application: str):
    for packet in encode(packet_ms, layout, application):
        assert samples_of(packet) == RATE_HZ * packet_ms // 1_000


def test_whatever_can_be_decoded_is_as_long_as_was_said():
    dice, decoded = random.Random(3), 0
    decoder = OpusDecoder()
    for _ in range(5_000):
        packet = dice.randbytes(dice.randrange(1, 60))
        try:
            sound = decode(decoder, [packet])
        except FFmpegError:
            continue
        decoded += 1
        assert samples_of(packet) == len(sound)
    assert decoded > 1_000


@pytest.mark.parametrize("packet", [b"", b"\x03", b"\xff", b"\x03\x00", b"\x1b\x3f"])
def test_what_is_no_packet_has_no_length(packet: bytes):
    assert samples_of(packet) == 0


@pytest.mark.parametrize("application", ["voip", "audio"])
@pytest.mark.parametrize("layout", ["mono", "stereo"])
@pytest.mark.parametrize("packet_ms", [10, 20, 40, 60])
def test_a_lost_packet_is_made_up_and_fades_in_the_end(packet_ms: int, layout: str, application: str):
    packets = encode(packet_ms, layout, application)
    decoder = OpusDecoder()
    before = loudness(decode(decoder, packets[:15])[-2 * 960 :])
    made_up = decode(decoder, concealment(960, packets[14]))
    assert len(made_up) == 960
    assert 0.5 * before < loudness(made_up) < 1.2 * before, "it goes on as it was"
    for _ in range(30):
        made_up = decode(decoder, concealment(960, packets[14]))
    assert loudness(made_up) < 0.3 * before
    after = decode(decoder, packets[15:])
    assert loudness(after[-960:]) == pytest.approx(before, rel=0.1)


@pytest.mark.parametrize("samples", [120, 480, 960, 1_920, 2_880, 5_760])
def test_concealment_lasts_as_long_as_was_asked_for(samples: int):
    packets = concealment(samples, b"\x68")
    assert sum(map(samples_of, packets)) == samples
    assert all(len(packet) == 1 for packet in packets)
    decoder = OpusDecoder()
    decode(decoder, encode(20)[:5])
    assert len(decode(decoder, packets)) == samples


def test_no_packet_lasts_longer_than_the_standard_allows():
    dice = random.Random(8)
    assert max(samples_of(dice.randbytes(4)) for _ in range(3_000)) == MOST_SAMPLES
