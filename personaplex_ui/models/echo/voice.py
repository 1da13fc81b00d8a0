"""The voices of the echo engine: each plays sound at its own pitch, like a tape at another speed."""

import re

import numpy as np
import soxr

from personaplex_ui.audio.frames import FRAME_SAMPLES, SAMPLE_RATE_HZ, Frame, Samples

FIRST_SEMITONE = {"NATF": 2, "VARF": 6, "NATM": -2, "VARM": -6}
"""Women's voices go up from here, men's go down, one semitone per voice."""


def pitch_ratio(voice: str) -> float:
    """How much higher (or, under 1, lower) ``voice`` sounds. Names other than the 18 keep the pitch."""
    match = re.fullmatch(r"(NATF|VARF|NATM|VARM)(\d)", voice)
    if match is None:
        return 1.0
    first, number = FIRST_SEMITONE[match[1]], int(match[2])
    return 2 ** ((first + number if first > 0 else first - number) / 12)


class Saying:
    """An utterance to say: sound at a pitch, and its words, delivered as they are said."""

    def __init__(self, samples: Samples, text: str, ratio: float) -> None:
        self._samples = samples
        self._position = 0
        self._words = text.split()
        self._words_said = 0
        self._resampler = soxr.ResampleStream(SAMPLE_RATE_HZ * ratio, SAMPLE_RATE_HZ, 1, dtype="float32")
        self._ready: Samples = np.zeros(0, dtype=np.float32)

    @property
    def over(self) -> bool:
        return self._position >= len(self._samples) and not len(self._ready)

    def next_frame(self) -> tuple[Frame, str]:
        """The next 80 ms (zeros after the end) and the words that belong to them."""
        while len(self._ready) < FRAME_SAMPLES and self._position < len(self._samples):
            chunk = self._samples[self._position : self._position + FRAME_SAMPLES]
            self._position += len(chunk)
            last = self._position >= len(self._samples)
            resampled: Samples = self._resampler.resample_chunk(chunk, last=last)  # pyright: ignore[reportUnknownVariableType]
            self._ready = np.concatenate([self._ready, resampled])
        frame = np.zeros(FRAME_SAMPLES, dtype=np.float32)
        ready = self._ready[:FRAME_SAMPLES]
        frame[: len(ready)] = ready
        self._ready = self._ready[FRAME_SAMPLES:]
        return frame, self._words_until(1.0 if self.over else self._position / max(1, len(self._samples)))

    def fade_out(self) -> Frame:
        """The frame in which it falls silent: a fade of 10 ms, then silence."""
        frame, _ = self.next_frame()
        fade_samples = SAMPLE_RATE_HZ // 100
        frame[:fade_samples] *= np.linspace(1.0, 0.0, fade_samples, dtype=np.float32)
        frame[fade_samples:] = 0.0
        return frame

    def _words_until(self, part: float) -> str:
        until = round(part * len(self._words))
        words = self._words[self._words_said : until]
        self._words_said = max(until, self._words_said)
        return "".join(f" {word}" for word in words)
