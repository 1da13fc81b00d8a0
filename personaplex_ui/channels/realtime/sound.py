"""The formats of a session's sound, both ways: PCM, G.711 in both laws, and Opus. Knows bytes and samples.

Opus is what Unmute's clients send: one Ogg stream, cut anywhere. One converter for each direction of a
session, since resamplers and Opus keep state.
"""

import enum
from collections.abc import Callable, Iterator
from typing import Protocol

from personaplex_ui.audio import a_law, mu_law
from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Frame, Samples
from personaplex_ui.audio.resample import Resampler
from personaplex_ui.channels.moshi.opus import OpusInput, OpusOutput
from personaplex_ui.channels.moshi.pcm import PcmInput, PcmOutput
from personaplex_ui.errors import ProtocolError

PHONE_HZ = 8_000
OGG_CAPTURE = b"OggS"


class Format(enum.StrEnum):
    """By the names since 2025."""

    PCM = "audio/pcm"
    MU_LAW = "audio/pcmu"
    A_LAW = "audio/pcma"
    OPUS = "audio/opus"

    @property
    def beta_name(self) -> str:
        return _BETA_NAMES[self]

    @property
    def bytes_per_sec(self) -> float:
        """Of those that are not compressed."""
        return 2.0 * SAMPLE_RATE_HZ if self is Format.PCM else PHONE_HZ

    def record(self) -> dict[str, object]:
        return {"type": str(self), "rate": SAMPLE_RATE_HZ} if self is Format.PCM else {"type": str(self)}


_BETA_NAMES = {
    Format.PCM: "pcm16",
    Format.MU_LAW: "g711_ulaw",
    Format.A_LAW: "g711_alaw",
    Format.OPUS: "opus",
}
BETA_FORMATS = {name: each for each, name in _BETA_NAMES.items()}


MayHear = Callable[[float], bool]
"""Asked with the length of a piece in seconds, before it is decoded; what it refuses is left out."""


class SoundIn(Protocol):
    """``receive``: the samples in a piece, or what is wrong with it."""

    def receive(self, data: bytes, may_hear: MayHear) -> Iterator[Samples | ProtocolError]: ...


class SoundOut(Protocol):
    """``append``: ``frame`` as the client wants it; may be empty."""

    def append(self, frame: Frame) -> bytes: ...


class PhoneIn:
    def __init__(self, decode: Callable[[bytes], Samples]) -> None:
        self._decode = decode
        self._resampler = Resampler(PHONE_HZ, SAMPLE_RATE_HZ)

    def receive(self, data: bytes, may_hear: MayHear) -> Iterator[Samples | ProtocolError]:
        if may_hear(len(data) / PHONE_HZ):
            yield self._resampler.push(self._decode(data))


class PhoneOut:
    def __init__(self, encode: Callable[[Samples], bytes]) -> None:
        self._encode = encode
        self._resampler = Resampler(SAMPLE_RATE_HZ, PHONE_HZ)

    def append(self, frame: Frame) -> bytes:
        return self._encode(self._resampler.push(frame))


def sound_in(kind: Format) -> SoundIn:
    match kind:
        case Format.PCM:
            return PcmInput()
        case Format.MU_LAW:
            return PhoneIn(mu_law.decode)
        case Format.A_LAW:
            return PhoneIn(a_law.decode)
        case Format.OPUS:
            return OpusInput()


def sound_out(kind: Format) -> SoundOut:
    match kind:
        case Format.PCM:
            return PcmOutput()
        case Format.MU_LAW:
            return PhoneOut(mu_law.encode)
        case Format.A_LAW:
            return PhoneOut(a_law.encode)
        case Format.OPUS:
            return OpusOutput()
