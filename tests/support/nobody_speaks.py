"""Sound in which nobody says a word: silence, noises, tones, and what resembles music."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples

Wave: TypeAlias = npt.NDArray[np.floating]


def nobody_speaks() -> dict[str, Samples]:
    """By what it is: 24 kHz, 3 to 6 s each."""
    time_sec = _seconds(4.0)
    waves: dict[str, Wave] = {
        "silence": np.zeros(len(time_sec)),
        "an idle microphone": _noise(1e-4),
        "weak noise": _noise(3e-3),
        "noise": _noise(0.1),
        "hum": 0.05 * np.sign(_sine(50, 4.0)),
        "a tone": 0.3 * _sine(440, 3.0),
        "a chord": 0.1 * (_sine(262, 5.0) + _sine(330, 5.0) + _sine(392, 5.0)),
        "a melody": _melody(),
        "an organ": 0.2 * np.asarray(sum(_sine(220 * k, 4.0) / k for k in range(1, 8))),
        "a dial tone": 0.2 * (_sine(440, 3.0) + _sine(480, 3.0)),
        "breath": _breath(),
        "keys": 0.8 * (np.random.default_rng(2).random(len(time_sec)) < 0.0003),
    }
    return {name: wave.astype(np.float32) for name, wave in waves.items()}


def _seconds(count: float) -> Wave:
    return np.arange(int(count * SAMPLE_RATE_HZ), dtype=np.float64) / SAMPLE_RATE_HZ


def _sine(hz: float, seconds: float) -> Wave:
    return np.sin(2 * np.pi * hz * _seconds(seconds))


def _noise(level: float) -> Wave:
    return np.random.default_rng(5).normal(0, level, 4 * SAMPLE_RATE_HZ)


def _melody() -> Wave:
    fading = np.exp(-4 * _seconds(0.25))
    scale = (262, 294, 330, 349, 392, 440, 494, 523)
    return 0.3 * np.concatenate([_sine(hz, 0.25) * fading for hz in scale * 3])


def _breath() -> Wave:
    swell = np.abs(_sine(0.4, 6.0)) ** 3
    return np.random.default_rng(0).normal(0, 0.05, len(swell)) * swell
