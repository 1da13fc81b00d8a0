"""G.711 mu-law, the telephone's 8 bits per sample, to float sound and back.

Depends on samples only, at any rate. Encodes to the nearest of the 255 levels, so silence stays silent and
decoded sound encodes to the same codes.
"""

import numpy as np
import numpy.typing as npt

from personaplex_ui.audio.companding import Companding

SILENT_CODE = 0xFF
"""The code of 0. (0x7F, negative zero, is decoded but never produced.)"""

_BIAS = 33 << 2


def _levels() -> npt.NDArray[np.int32]:
    """The value of each of the 256 codes, as 16-bit numbers (ITU-T G.711, table 2)."""
    bits = ~np.arange(256, dtype=np.uint8)
    exponent = (bits >> 4 & 0x07).astype(np.int32)
    mantissa = (bits & 0x0F).astype(np.int32)
    magnitude = ((mantissa << 3) + _BIAS << exponent) - _BIAS
    return np.where(bits & 0x80, -magnitude, magnitude)


_LAW = Companding(_levels(), np.delete(np.arange(256), 0x7F), ties="left")
decode = _LAW.decode
encode = _LAW.encode
