"""Recordings to make voices of."""

from pathlib import Path

import numpy as np

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples

RECORDING = Path(__file__).parent.parent / "data/cases/custom_voice_no_prompt/voice.wav"


def speech(sec: float, level: float = 0.1) -> Samples:
    """Noise that swells and fades five times a second, as syllables do."""
    time = np.arange(int(sec * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    noise = np.random.default_rng(1).uniform(-1.0, 1.0, len(time))
    return (level * noise * (0.6 + 0.4 * np.sin(2 * np.pi * 5 * time))).astype(np.float32)
