"""Sound of a WAV file, or of bare 16-bit samples, that came over a network. Pure.

Servers that stream WAV do not know its length when they begin; they write a length of zero, or the largest.
"""

import struct
from collections.abc import Iterator

import numpy as np

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples
from personaplex_ui.audio.resample import Resampler

LOWEST_HZ, HIGHEST_HZ = 8_000, 96_000
MOST_CHANNELS = 2
MOST_CHUNKS = 100
_STREAMED = 0x7FFFFF00
"""A length from here on stands for one that was not known."""

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE


def pcm_sound(content: bytes) -> Samples:
    """Bare samples, 24 kHz, mono, signed 16 bits, little-endian."""
    whole = content[: len(content) // 2 * 2]
    return np.frombuffer(whole, dtype="<i2").astype(np.float32) / 32_768.0


def wav_sound(content: bytes) -> Samples:
    """The sound of a WAV file, 24 kHz, mono.

    Raises:
        ValueError: why it cannot be used, such as ``it is cut off``.
    """
    if len(content) < 12 or content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise ValueError("it is not a WAV file")
    kind = channels = rate_hz = bits = 0
    for name, start, length in _chunks(content):
        if name == b"fmt ":
            if length < 16 or start + 16 > len(content):
                raise ValueError("it is cut off")
            kind, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", content, start)
            if kind == _EXTENSIBLE and length >= 26 and start + 26 <= len(content):
                (kind,) = struct.unpack_from("<H", content, start + 24)
        elif name == b"data":
            _check(kind, channels, rate_hz, bits)
            data = content[start : start + length] if length < _STREAMED and length else content[start:]
            if len(data) < length < _STREAMED:
                raise ValueError("it is cut off")
            mono = _numbers(data, kind, bits, channels).mean(axis=1, dtype=np.float32)
            return _at_24k(np.nan_to_num(mono, nan=0.0, posinf=1.0, neginf=-1.0), rate_hz)
    raise ValueError("it holds no sound")


def _chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, first byte and length of each chunk."""
    at = 12
    for _ in range(MOST_CHUNKS):
        if at + 8 > len(content):
            return
        (length,) = struct.unpack_from("<I", content, at + 4)
        yield content[at : at + 4], at + 8, length
        at += 8 + length + length % 2


def _check(kind: int, channels: int, rate_hz: int, bits: int) -> None:
    if (kind, bits) not in ((_PCM, 16), (_PCM, 24), (_PCM, 32), (_FLOAT, 32)):
        raise ValueError(f"its samples are of kind {kind} with {bits} bits, and 16 bits are expected")
    if not 1 <= channels <= MOST_CHANNELS:
        raise ValueError(f"it has {channels} channels")
    if not LOWEST_HZ <= rate_hz <= HIGHEST_HZ:
        raise ValueError(f"its sample rate is {rate_hz} Hz")


def _numbers(data: bytes, kind: int, bits: int, channels: int) -> Samples:
    """float32 ``[n, channels]``."""
    frame = bits // 8 * channels
    data = data[: len(data) // frame * frame]
    if kind == _FLOAT:
        numbers = np.clip(np.frombuffer(data, dtype="<f4"), -8.0, 8.0)
    elif bits == 24:
        parts = np.frombuffer(data, dtype=np.uint8).reshape(-1, 3)
        wide = np.zeros((len(parts), 4), dtype=np.uint8)
        wide[:, 1:] = parts
        numbers = wide.view("<i4").reshape(-1) / np.float32(2**31)
    else:
        numbers = np.frombuffer(data, dtype=f"<i{bits // 8}") / np.float32(2 ** (bits - 1))
    return numbers.astype(np.float32).reshape(-1, channels)


def _at_24k(mono: Samples, rate_hz: int) -> Samples:
    if rate_hz == SAMPLE_RATE_HZ or not len(mono):
        return mono
    resampler = Resampler(rate_hz, SAMPLE_RATE_HZ)
    return np.concatenate([resampler.push(mono), resampler.flush()])
