"""Sentences that were said already: greetings and apologies are the same in every call."""

import threading
from collections import OrderedDict

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples

KEPT_SAMPLES = 240 * SAMPLE_RATE_HZ
"""Four minutes of speech, 23 MB."""


class SaidBefore:
    """The latest sentences, each with its voice and sound. Thread-safe."""

    def __init__(self, kept_samples: int = KEPT_SAMPLES) -> None:
        self._kept_samples = kept_samples
        self._samples = 0
        self._sounds: OrderedDict[tuple[str, str], Samples] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, text: str, voice: str) -> Samples | None:
        """Its sound, not to be written to."""
        with self._lock:
            samples = self._sounds.get((text, voice))
            if samples is not None:
                self._sounds.move_to_end((text, voice))
            return samples

    def keep(self, text: str, voice: str, samples: Samples) -> None:
        """Forgets the oldest ones where there is no room."""
        with self._lock:
            if (text, voice) in self._sounds:
                return
            self._sounds[text, voice] = samples
            self._samples += len(samples)
            while self._samples > self._kept_samples:
                _, oldest = self._sounds.popitem(last=False)
                self._samples -= len(oldest)
