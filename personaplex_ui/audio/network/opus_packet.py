"""Reads the first bytes of an Opus packet (RFC 6716, section 3). Decodes no sound."""

RATE_HZ = 48_000
"""The RTP clock rate of Opus, at any sample rate of the sound (RFC 7587, section 4.1)."""

MOST_SAMPLES = 5_760
"""120 ms: no packet may last longer (requirement R5)."""

_SILK_SAMPLES = (480, 960, 1_920, 2_880)
_HYBRID_SAMPLES = (480, 960)
_CELT_SAMPLES = (120, 240, 480, 960)
_CELT_FULL_BAND = 28
"""The first of four configurations, with frames of 2.5, 5, 10 and 20 ms."""


def samples_of(packet: bytes) -> int:
    """How many samples at 48 kHz ``packet`` holds; 0 if it is not an Opus packet."""
    if not packet:
        return 0
    configuration, code = packet[0] >> 3, packet[0] & 3
    if configuration < 12:
        frame = _SILK_SAMPLES[configuration % 4]
    elif configuration < 16:
        frame = _HYBRID_SAMPLES[configuration % 2]
    else:
        frame = _CELT_SAMPLES[configuration % 4]
    if code == 3 and len(packet) < 2:
        return 0
    frames = packet[1] & 0x3F if code == 3 else (1, 2, 2)[code]
    samples = frames * frame
    return samples if samples <= MOST_SAMPLES else 0


def concealment(samples: int, like: bytes) -> list[bytes]:
    """Packets that make a decoder conceal at least ``samples``, as a continuation of ``like``.

    A packet of only its first byte has an empty frame, which decoders treat as lost. Only its length and
    channels matter: the decoder stays in its mode.
    """
    channels = like[0] & 4 if like else 0
    lengths: list[int] = []
    while samples > 0:
        index = next((i for i, length in enumerate(_CELT_SAMPLES) if length >= samples), 3)
        lengths.append(index)
        samples -= _CELT_SAMPLES[index]
    return [bytes([(_CELT_FULL_BAND + index) << 3 | channels]) for index in lengths]
