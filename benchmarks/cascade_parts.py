"""Parts of a conversation that note how long they take."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples
from personaplex_ui.models.cascade.parts import Parts
from personaplex_ui.speech.parts import Recognised, Turn


@dataclass(slots=True)
class Times:
    """``took_sec`` of each piece of work, and how long its sound is (0 where it has none)."""

    took_sec: list[float] = field(default_factory=list[float])
    sound_sec: list[float] = field(default_factory=list[float])

    def add(self, since: float, samples: int = 0) -> None:
        self.took_sec.append(time.perf_counter() - since)
        self.sound_sec.append(samples / SAMPLE_RATE_HZ)

    def clear(self) -> None:
        self.took_sec.clear()
        self.sound_sec.clear()


class TimedParts:
    """``parts``, each measured. It is the recogniser, the replier and the synthesiser at once."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.recognition, self.replies, self.synthesis = Times(), Times(), Times()

    @property
    def measured(self) -> Parts:
        # All three are this object, so it asks servers if any of them does.
        return Parts(self, self, self, (self,) if self._parts.remote else ())

    def recognise(self, samples: Samples, context: str = "", language: str = "") -> Recognised:
        since = time.perf_counter()
        found = self._parts.recogniser.recognise(samples, context, language)
        self.recognition.add(since, len(samples))
        return found

    def greet(self, role: str) -> str:
        return self._parts.replier.greet(role)

    def reply(self, role: str, turns: Sequence[Turn]) -> Iterator[str]:
        since = time.perf_counter()
        for number, sentence in enumerate(self._parts.replier.reply(role, turns)):
            if number == 0:
                self.replies.add(since)
            yield sentence

    def synthesise(self, text: str, voice: str) -> Samples:
        since = time.perf_counter()
        samples = self._parts.synthesiser.synthesise(text, voice)
        self.synthesis.add(since, len(samples))
        return samples
