"""Deterministic parts of a conversation: "speech" is a tone whose pitch says which sentence it is."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples
from personaplex_ui.speech.parts import Recognised, SpeechPartFailed, Turn
from personaplex_ui.speech.work.jobs import JobQueue
from tests.support.sounds import peak_hz, tone

SENTENCES = {
    300: "What do you sell?",
    400: "When do you open?",
    500: "Tell me a story.",
    600: "And what does it cost?",
}
"""What a caller says with a tone of so many Hz."""

WORD_SEC = 0.16
SAID_HZ = 200.0


@dataclass
class Listed:
    """Recognises the tones of ``SENTENCES``; anything else is no words. ``failing``: the sentence of a
    failure; ``heard``: what it was given, in seconds."""

    failing: str = ""
    heard: list[float] = field(default_factory=list[float])
    contexts: list[str] = field(default_factory=list[str])

    def recognise(self, samples: Samples, context: str = "", language: str = "") -> Recognised:
        self.heard.append(len(samples) / SAMPLE_RATE_HZ)
        self.contexts.append(context)
        if self.failing:
            raise SpeechPartFailed(self.failing)
        found = peak_hz(samples[: 2 * SAMPLE_RATE_HZ])
        nearest = min(SENTENCES, key=lambda hz: abs(hz - found))
        return Recognised(SENTENCES[nearest] if abs(nearest - found) < 20 else "", "en")


@dataclass
class Scripted:
    """Answers each question with the sentences of ``answers``, or "You said ...". ``fails_after``: after so
    many sentences it fails; ``asked``: the turns it got; ``closed``: iterators closed before their end."""

    greeting: str = ""
    answers: dict[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    failing: str = ""
    fails_after: int = 0
    asked: list[tuple[Turn, ...]] = field(default_factory=list[tuple[Turn, ...]])
    fetched: list[str] = field(default_factory=list[str])
    closed: int = 0

    def greet(self, role: str) -> str:
        return self.greeting

    def reply(self, role: str, turns: Sequence[Turn]) -> Iterator[str]:
        self.asked.append(tuple(turns))
        question = turns[-1].text
        try:
            for number, sentence in enumerate(self.answers.get(question, (f"You said: {question}",))):
                if self.failing and number == self.fails_after:
                    raise SpeechPartFailed(self.failing)
                self.fetched.append(sentence)
                yield sentence
        except GeneratorExit:
            self.closed += 1
            raise


@dataclass
class Humming:
    """Says each word in 160 ms, as a tone. ``going`` cleared: it takes until that is set."""

    failing: str = ""
    said: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    going: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.going.set()

    def synthesise(self, text: str, voice: str) -> Samples:
        self.going.wait(10)
        self.said.append((text, voice))
        if self.failing:
            raise SpeechPartFailed(self.failing)
        return tone(WORD_SEC * len(text.split()), SAID_HZ, amplitude=0.3)


def says(hz: int, sec: float = 1.2) -> Samples:
    """A caller's sentence of ``SENTENCES``."""
    return tone(sec, hz)


def pause(sec: float) -> Samples:
    return np.zeros(round(sec * SAMPLE_RATE_HZ), dtype=np.float32)


def work_off(queue: JobQueue, most: int = 1_000) -> int:
    """Run the jobs that wait, and those they lead to, in this thread; returns how many there were."""
    done = 0
    while done < most and (job := queue.take(wait=False)) is not None:
        job.run()
        queue.finished(job)
        done += 1
    return done
