"""Whisper's log-mel spectrogram, as OpenAI's ``whisper/audio.py`` computes it: 25 ms windows every 10 ms.

Pure; NumPy only.
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

WHISPER_RATE_HZ = 16_000
HOP_SAMPLES = 160
WINDOW_SAMPLES = 400
FRAMES_PER_SEC = WHISPER_RATE_HZ // HOP_SAMPLES

Spectrogram = npt.NDArray[np.float32]
"""Log-mel energies, float32, shape ``[bands, frames]``."""

Sound16k = npt.NDArray[np.float32]
"""Mono sound, float32, 16 kHz, shape ``[n]``."""

LEAST_POWER = 1e-10
RANGE_BELS = 8.0
"""What is weaker than the strongest band by more than this counts as this much weaker."""


def log_mel(sound: Sound16k, bands: int, frames: int) -> Spectrogram:
    """The spectrogram of ``sound``, padded with silence to ``frames``; shape ``[bands, frames]``."""
    assert len(sound) <= frames * HOP_SAMPLES
    half = WINDOW_SAMPLES // 2
    padded = np.pad(sound, (0, frames * HOP_SAMPLES - len(sound)))
    padded = np.pad(padded, half, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW_SAMPLES)[::HOP_SAMPLES][:frames]
    spectrum = np.fft.rfft(windows * _window(), axis=1)
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
    energies = np.log10(np.maximum(_mel_filters(bands) @ power.T, LEAST_POWER))
    energies = np.maximum(energies, energies.max() - RANGE_BELS)
    return np.ascontiguousarray((energies + 4.0) / 4.0, dtype=np.float32)


@lru_cache(maxsize=1)
def _window() -> npt.NDArray[np.float32]:
    return np.hanning(WINDOW_SAMPLES + 1)[:-1].astype(np.float32)


@lru_cache(maxsize=2)
def _mel_filters(bands: int) -> npt.NDArray[np.float32]:
    """Slaney's triangles of equal area, as librosa makes them; shape ``[bands, 201]``."""
    bins_hz = np.fft.rfftfreq(WINDOW_SAMPLES, 1 / WHISPER_RATE_HZ)
    mels = np.arange(bands + 2, dtype=np.float64) * (_hz_to_mel(WHISPER_RATE_HZ / 2) / (bands + 1))
    edges_hz = _mel_to_hz(mels)
    widths = np.diff(edges_hz)[:, np.newaxis]
    ramps = edges_hz[:, np.newaxis] - bins_hz
    triangles = np.maximum(0.0, np.minimum(-ramps[:-2] / widths[:-1], ramps[2:] / widths[1:]))
    areas = (2.0 / (edges_hz[2:] - edges_hz[:-2]))[:, np.newaxis]
    return (triangles * areas).astype(np.float32)


LINEAR_HZ_PER_MEL = 200.0 / 3
BREAK_HZ = 1_000.0
BREAK_MEL = BREAK_HZ / LINEAR_HZ_PER_MEL
LOG_STEP = float(np.log(6.4)) / 27.0
"""Slaney's scale: linear up to 1 kHz, logarithmic above."""


def _hz_to_mel(hz: float) -> float:
    return BREAK_MEL + float(np.log(hz / BREAK_HZ)) / LOG_STEP if hz >= BREAK_HZ else hz / LINEAR_HZ_PER_MEL


def _mel_to_hz(mels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(
        mels >= BREAK_MEL, BREAK_HZ * np.exp(LOG_STEP * (mels - BREAK_MEL)), mels * LINEAR_HZ_PER_MEL
    )
