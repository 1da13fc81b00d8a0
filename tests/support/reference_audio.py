"""How NVIDIA's reference reads sound (``load_audio`` in its lm.py), by the library that it uses."""

# sphn has no types:
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from pathlib import Path

import numpy as np
import sphn

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples


def read_by_reference(path: Path) -> Samples:
    """The first channel at 24 kHz, ``[n]``."""
    sound, rate_hz = sphn.read(str(path))
    return resampled_by_reference(sound[0], rate_hz)


def resampled_by_reference(sound: Samples, rate_hz: int) -> Samples:
    resampled = sphn.resample(sound[np.newaxis], src_sample_rate=rate_hz, dst_sample_rate=SAMPLE_RATE_HZ)
    return np.asarray(resampled[0], dtype=np.float32)
