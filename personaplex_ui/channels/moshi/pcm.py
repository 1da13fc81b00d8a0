"""Sound as 16-bit PCM, for clients that have no Opus. Depends on samples, not on a websocket or a call.

A message holds any number of whole samples, little endian, mono, 24 kHz; there is no header.
"""

from collections.abc import Callable, Iterator

import numpy as np

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Frame, Samples
from personaplex_ui.errors import ProtocolError

SAMPLE_BYTES = 2
FULL_SCALE = 32_768.0


class PcmInput:
    """Sound from one peer, as ``OpusInput`` gives it."""

    def receive(
        self, data: bytes, may_hear: Callable[[float], bool] = lambda sec: True
    ) -> Iterator[Samples | ProtocolError]:
        """The samples of one message, shape ``[n]`` in [-1, 1), or what is wrong with them.

        ``may_hear``: asked with their length in seconds; what it refuses is dropped.
        """
        if len(data) % SAMPLE_BYTES:
            yield ProtocolError("The audio (01) must be whole samples of 16-bit PCM, two bytes each.")
        elif data and may_hear(len(data) / SAMPLE_BYTES / SAMPLE_RATE_HZ):
            yield np.frombuffer(data, dtype="<i2").astype(np.float32) / np.float32(FULL_SCALE)


class PcmOutput:
    """Sound to one peer, as ``OpusOutput`` gives it."""

    def append(self, frame: Frame) -> bytes:
        """The samples of ``frame`` ``[1920]``, 3,840 bytes."""
        sane = np.clip(np.nan_to_num(frame, posinf=1.0, neginf=-1.0), -1.0, 1.0)
        return np.round(sane * (FULL_SCALE - 1.0)).astype("<i2").tobytes()
