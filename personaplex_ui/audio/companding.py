"""What the two laws of ITU-T G.711 share: a table of levels, to which samples go and from which they come.

Depends on samples only, at any rate.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

from personaplex_ui.audio.frames import Samples


class Companding:
    """``levels``: of each of the 256 codes, as 16-bit numbers. ``produced``: the codes that ``encode`` gives.
    ``ties``: which of two levels gets what lies halfway, ``left`` for the lower one."""

    def __init__(
        self, levels: npt.NDArray[np.int32], produced: npt.NDArray[np.int_], ties: Literal["left", "right"]
    ) -> None:
        self._decoded: Samples = (levels / 32768.0).astype(np.float32)
        ordered = produced[np.argsort(levels[produced])]
        between = (levels[ordered][1:] + levels[ordered][:-1]) / 2
        nearest = np.searchsorted(between, np.arange(-32768, 32768), side=ties)
        self._encoded = ordered[nearest].astype(np.uint8)

    def decode(self, codes: bytes) -> Samples:
        """``codes``, one byte per sample, as float32 ``[len(codes)]`` in (-1, 1)."""
        return self._decoded[np.frombuffer(codes, dtype=np.uint8)]

    def encode(self, samples: Samples) -> bytes:
        """``samples`` ``[n]`` as n codes of the nearest levels, clipped at the loudest; NaN becomes
        silence."""
        loud = np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0).astype(np.float32, copy=False)
        pcm = np.rint(np.clip(loud * 32768.0, -32768.0, 32767.0)).astype(np.int32)
        return self._encoded[pcm + 32768].tobytes()
