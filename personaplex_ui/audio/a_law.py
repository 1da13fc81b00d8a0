"""G.711 A-law, the 8 bits per sample of telephones outside of America and Japan, to float sound and back.

Depends on samples only, at any rate. Encodes to the nearest of the 256 levels, so decoded sound encodes to
the same codes. A-law has no zero: silence is its smallest level, 8 of 32,768.
"""

import numpy as np
import numpy.typing as npt

from personaplex_ui.audio.frames import Samples

SILENT_CODE = 0xD5
"""The code of the smallest positive level."""


def _levels() -> npt.NDArray[np.int32]:
    """The value of each of the 256 codes, as 16-bit numbers (ITU-T G.711, table 1)."""
    bits = np.arange(256, dtype=np.uint8) ^ 0x55
    exponent = (bits >> 4 & 0x07).astype(np.int32)
    mantissa = (bits & 0x0F).astype(np.int32) << 4
    magnitude = np.where(exponent == 0, mantissa + 8, mantissa + 0x108 << np.maximum(exponent - 1, 0))
    return np.where(bits & 0x80, magnitude, -magnitude)


def _codes() -> npt.NDArray[np.uint8]:
    """The code of the level nearest to each 16-bit number, at index ``number + 32768``."""
    levels = _levels()
    order = np.argsort(levels)
    between = (levels[order][1:] + levels[order][:-1]) / 2
    nearest = np.searchsorted(between, np.arange(-32768, 32768), side="right")
    return order[nearest].astype(np.uint8)


_DECODED: Samples = (_levels() / 32768.0).astype(np.float32)
_ENCODED = _codes()


def decode(codes: bytes) -> Samples:
    """``codes``, one byte per sample, as float32 ``[len(codes)]`` in (-1, 1)."""
    return _DECODED[np.frombuffer(codes, dtype=np.uint8)]


def encode(samples: Samples) -> bytes:
    """``samples`` ``[n]`` as n codes, clipped at the loudest level; NaN becomes silence."""
    loud = np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0).astype(np.float32, copy=False) * 32768.0
    pcm = np.rint(np.clip(loud, -32768.0, 32767.0)).astype(np.int32)
    return _ENCODED[pcm + 32768].tobytes()
