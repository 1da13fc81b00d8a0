"""Brings synthesised speech to one level and cuts the silence around it. Pure."""

import numpy as np
import numpy.typing as npt

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples
from personaplex_ui.audio.levels import rms_dbfs

SPEECH_LEVEL_DBFS = -20.0
LOUDEST_PEAK = 0.95
MOST_GAIN_DB = 30.0

BLOCK_SAMPLES = SAMPLE_RATE_HZ // 100
"""10 ms."""

PAUSE_BELOW_SPEECH_DB = 25.0
"""What is so much below the loudest blocks is a pause, and does not count for the level."""

SILENCE_BELOW_SPEECH_DB = 38.0
LEAD_BLOCKS, TAIL_BLOCKS = 2, 6
"""Silence kept before and after, so that soft sounds at the ends stay whole."""


def levelled(samples: Samples) -> Samples:
    """``samples`` ``[n]`` with speech at -20 dBFS, at most 20 ms of silence before it and 60 ms after, and
    smooth ends; empty where there is no speech."""
    levels = _block_levels(samples)
    loudest = float(levels.max(initial=-100.0))
    if loudest <= -80.0:
        return samples[:0]
    heard = np.flatnonzero(levels > loudest - SILENCE_BELOW_SPEECH_DB)
    start = max(0, int(heard[0]) - LEAD_BLOCKS) * BLOCK_SAMPLES
    end = (int(heard[-1]) + 1 + TAIL_BLOCKS) * BLOCK_SAMPLES
    speech = levels[levels > loudest - PAUSE_BELOW_SPEECH_DB]
    level = 10.0 * float(np.log10(np.mean(10.0 ** (speech / 10.0))))
    gain = 10.0 ** (min(SPEECH_LEVEL_DBFS - level, MOST_GAIN_DB) / 20.0)
    sound = samples[start:end]
    gain = min(gain, LOUDEST_PEAK / float(np.abs(sound).max()))
    return _with_smooth_ends((sound * gain).astype(np.float32))


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * SAMPLE_RATE_HZ), dtype=np.float32)


def _block_levels(samples: Samples) -> npt.NDArray[np.float64]:
    """Levels of the blocks of 10 ms in ``samples``, in dBFS."""
    blocks = np.split(samples, range(BLOCK_SAMPLES, len(samples), BLOCK_SAMPLES))
    return np.array([rms_dbfs(block) for block in blocks])


def _with_smooth_ends(samples: Samples) -> Samples:
    fade = min(BLOCK_SAMPLES // 2, len(samples) // 2)
    ramp = np.linspace(0.0, 1.0, fade, dtype=np.float32)
    samples[:fade] *= ramp
    samples[len(samples) - fade :] *= ramp[::-1]
    return samples
