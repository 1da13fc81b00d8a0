"""G.711 A-law, the 8 bits per sample of telephones outside of America and Japan, to float sound and back.

Depends on samples only, at any rate. Encodes to the nearest of the 256 levels, so decoded sound encodes to
the same codes. A-law has no zero: silence is its smallest level, 8 of 32,768.
"""

import numpy as np
import numpy.typing as npt

from personaplex_ui.audio.companding import Companding

SILENT_CODE = 0xD5
"""The code of the smallest positive level."""


def _levels() -> npt.NDArray[np.int32]:
    """The value of each of the 256 codes, as 16-bit numbers (ITU-T G.711, table 1)."""
    bits = np.arange(256, dtype=np.uint8) ^ 0x55
    exponent = (bits >> 4 & 0x07).astype(np.int32)
    mantissa = (bits & 0x0F).astype(np.int32) << 4
    magnitude = np.where(exponent == 0, mantissa + 8, mantissa + 0x108 << np.maximum(exponent - 1, 0))
    return np.where(bits & 0x80, magnitude, -magnitude)


_LAW = Companding(_levels(), np.arange(256), ties="right")
decode = _LAW.decode
encode = _LAW.encode
