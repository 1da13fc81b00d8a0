"""Somebody at a microphone and a loudspeaker: waits for a greeting, says a tone, listens, and is done.

Runs inside other people's clients, in their environment: needs numpy only. Its clock is the microphone.
"""

import threading
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt

Sound = npt.NDArray[np.float32]

TONE_HZ = 440.0
TONE_AMPLITUDE = 0.3
TONE_SEC = 1.5
LOUD = 0.01
"""A sample over this is a greeting: silence that was through Opus is below it."""
SPEAKS_AFTER_SEC = 0.5
LISTENS_SEC = 3.0
GIVES_UP_AFTER_SEC = 60.0


class Person:
    """``say`` and ``hear`` may be called from two threads."""

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self.done = threading.Event()
        self._clock_samples = 0
        self._greeted_at: int | None = None
        self._heard: list[Sound] = []

    @property
    def was_greeted(self) -> bool:
        return self._greeted_at is not None

    def say(self, samples: int) -> Sound:
        """The microphone's next ``samples``."""
        at = self._clock_samples + np.arange(samples)
        self._clock_samples += samples
        if self._greeted_at is None:
            if self._clock_samples > GIVES_UP_AFTER_SEC * self.rate_hz:
                self.done.set()
            return np.zeros(samples, dtype=np.float32)
        begins = self._greeted_at + SPEAKS_AFTER_SEC * self.rate_hz
        ends = begins + TONE_SEC * self.rate_hz
        if at[-1] > ends + LISTENS_SEC * self.rate_hz:
            self.done.set()
        tone = TONE_AMPLITUDE * np.sin(2 * np.pi * TONE_HZ * (at - begins) / self.rate_hz)
        return np.where((at >= begins) & (at < ends), tone, 0.0).astype(np.float32)

    def hear(self, sound: Sound) -> None:
        """What the loudspeaker plays next."""
        self._heard.append(np.array(sound, dtype=np.float32))
        if self._greeted_at is None and np.abs(sound).max(initial=0.0) > LOUD:
            self._greeted_at = self._clock_samples

    def keep(self, path: Path) -> None:
        """Write what was heard as WAV."""
        heard = np.concatenate([*self._heard, np.zeros(0, dtype=np.float32)])
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(self.rate_hz)
            file.writeframes(pcm_of(heard))


def pcm_of(sound: Sound) -> bytes:
    """As 16 bit."""
    return (np.clip(sound, -1.0, 1.0) * 32_767).astype("<i2").tobytes()


def sound_of(pcm: bytes) -> Sound:
    return (np.frombuffer(pcm, dtype="<i2") / 32_768).astype(np.float32)
