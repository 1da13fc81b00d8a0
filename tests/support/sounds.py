"""Sound that tests make."""

import numpy as np

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples


def tone(sec: float, hz: float = 440.0, rate_hz: int = SAMPLE_RATE_HZ, amplitude: float = 0.5) -> Samples:
    """A sine, ``[n]``, that begins at 0."""
    time_sec = np.arange(round(sec * rate_hz)) / rate_hz
    return (amplitude * np.sin(2 * np.pi * hz * time_sec)).astype(np.float32)


def peak_hz(samples: Samples, rate_hz: int = SAMPLE_RATE_HZ) -> float:
    """The loudest frequency of ``samples`` ``[n]``, to a fraction of a hertz (zero padded)."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), n=2**19))
    return float(np.argmax(spectrum)) * rate_hz / 2**19
