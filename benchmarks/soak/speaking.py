"""What a simulated caller says: a buzz every few seconds, and otherwise a quiet room.

Pure: consecutive packets of samples, at any rate; no transport and no clock.
"""

import random
from dataclasses import dataclass

import numpy as np

from personaplex_ui.audio.frames import FRAME_SEC, Samples

UTTERANCE_SEC = 8 * FRAME_SEC
"""Whole frames: then the echo takes equally long to answer it wherever in a frame it begins."""

PITCH_HZ = 125.0
"""Whole periods in an utterance, so that it is loud from its first sample to its last."""

HARMONICS = 12
"""Up to 1,500 Hz: a telephone carries all of them."""

SPEECH_DBFS = -20.0
ROOM_DBFS = -65.0
"""No microphone is as silent as zeros, and a codec may leave those out."""

PERIOD_SEC = 3.0
"""At least, from one utterance to the next: the echo takes 0.8 s to answer and 1.3 s to say it."""

PERIOD_VARIES_SEC = 0.4
"""So one caller's utterances begin everywhere in a frame."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """One packet: ``samples`` float32 ``[n]``. ``quiet_since_sec``: so long before its end the last loud
    sample of an utterance was spoken; None when none ends in it."""

    samples: Samples
    quiet_since_sec: float | None = None


class Speaker:
    """Quiet until told to ``talk``; packets of ``packet_sec``."""

    def __init__(self, rate_hz: int, packet_sec: float, seed: int) -> None:
        self._rate_hz = rate_hz
        self._packet_samples = round(rate_hz * packet_sec)
        self._utterance = utterance(rate_hz)
        self._dice = random.Random(seed)
        self._noise = np.random.default_rng(seed)
        self._talks = False
        self._begins_in = 0
        """Samples until the next utterance begins, negative once it has begun."""

    def talk(self) -> None:
        """Begin with an utterance at a random moment of half a period."""
        self._talks = True
        self._begins_in = self._samples(self._dice.uniform(0.0, PERIOD_SEC / 2))

    def fall_silent(self) -> None:
        """Start no more utterances; finish the current one."""
        self._talks = False

    def next_packet(self) -> Spoken:
        packet = self._noise.standard_normal(self._packet_samples) * 10 ** (ROOM_DBFS / 20)
        spoken = Spoken(packet.astype(np.float32))
        if not self._talks and self._begins_in >= 0:
            return spoken
        start, end = self._begins_in, self._begins_in + len(self._utterance)
        self._begins_in -= self._packet_samples
        if start >= self._packet_samples:
            return spoken
        part = self._utterance[max(0, -start) : self._packet_samples - start]
        spoken.samples[max(0, start) : end] += part
        if end > self._packet_samples:
            return spoken
        period_sec = PERIOD_SEC + self._dice.uniform(0.0, PERIOD_VARIES_SEC)
        self._begins_in += self._samples(period_sec)
        return Spoken(spoken.samples, (self._packet_samples - end) / self._rate_hz)

    def _samples(self, sec: float) -> int:
        return round(sec * self._rate_hz)


def utterance(rate_hz: int) -> Samples:
    """A sawtooth, which is loud at both of its ends."""
    time_sec = np.arange(round(UTTERANCE_SEC * rate_hz)) / rate_hz
    buzz = sum(np.sin(2 * np.pi * PITCH_HZ * n * time_sec) / n for n in range(1, HARMONICS + 1))
    loudness = 10 ** (SPEECH_DBFS / 20) / np.sqrt(np.mean(np.square(buzz)))
    return (loudness * buzz).astype(np.float32)
