"""Opus packets of the model's sound, against what a decoder makes of them."""

import av
import numpy as np
import pytest

from personaplex_ui.audio.frames import FRAME_SAMPLES, SAMPLE_RATE_HZ, Samples
from personaplex_ui.audio.network.opus_encoder import OpusEncoder
from personaplex_ui.audio.network.opus_packet import samples_of

LOOK_AHEAD = 120
"""Samples at 48 kHz by which the sound comes later: 2.5 ms."""


def tone(sec: float, level: float = 0.25) -> Samples:
    return (level * np.sin(2 * np.pi * 440 * np.arange(int(sec * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ)).astype(
        np.float32
    )


def decoded(packets: list[bytes]) -> Samples:
    """At 48 kHz."""
    decoder = av.CodecContext.create("libopus", "r")
    assert isinstance(decoder, av.AudioCodecContext)
    decoder.format, decoder.layout, decoder.sample_rate = "s16", "mono", 48_000
    frames = [frame for packet in packets for frame in decoder.decode(av.Packet(packet))]
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames]).astype(np.float32) / 32768.0


def test_a_frame_is_four_packets_of_20_ms_at_once():
    encoder = OpusEncoder()
    for _ in range(5):
        packets = encoder.encode(np.zeros(FRAME_SAMPLES, dtype=np.float32))
        assert [samples_of(packet) for packet in packets] == [960] * 4


def test_a_tone_keeps_its_pitch_and_level():
    encoder, sound = OpusEncoder(), tone(1.2)
    packets = [p for start in range(0, len(sound), 480) for p in encoder.encode(sound[start : start + 480])]
    heard = decoded(packets)[-48_000:]
    assert np.argmax(np.abs(np.fft.rfft(heard))) == 440
    assert np.sqrt(np.mean(heard**2)) == pytest.approx(0.25 / np.sqrt(2), rel=0.02)


def test_it_comes_no_later_than_the_look_ahead():
    click = np.zeros(4 * 480, dtype=np.float32)
    click[960:] = tone(0.04)
    heard = decoded(OpusEncoder().encode(click))
    assert np.flatnonzero(np.abs(heard) > 0.05)[0] == pytest.approx(1_920 + LOOK_AHEAD, abs=120)


def test_sound_that_is_too_loud_is_clipped_and_nothing_is_no_packet():
    encoder = OpusEncoder()
    assert np.max(np.abs(decoded(encoder.encode(tone(0.4, 40.0))))) <= 1.0
    assert encoder.encode(np.zeros(0, dtype=np.float32)) == []


def test_silence_stays_silent():
    encoder = OpusEncoder()
    packets = [p for _ in range(20) for p in encoder.encode(np.zeros(FRAME_SAMPLES, dtype=np.float32))]
    assert not np.any(decoded(packets))
    assert max(map(len, packets[8:])) < 20, "to the encoder it is silence"
