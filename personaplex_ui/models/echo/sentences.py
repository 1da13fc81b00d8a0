"""What the echo engine can say itself: two recorded sentences, and babble for any other text."""

import functools
from pathlib import Path

import numpy as np
import soundfile

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples
from personaplex_ui.audio.listener import Utterance

GREETING = "Hello! This is the echo engine. Say something, and I will say it back to you."
GOODBYE = "This call ends in ten seconds. Goodbye!"

SOUNDS = Path(__file__).parent / "sounds"
RECORDED = {GREETING: "greeting.flac", GOODBYE: "goodbye.flac"}

BABBLE_HZ = 130.0
SYLLABLE_SEC = 0.16

WORDINGS = (
    "I heard {length:.1f} s at {level:.0f} dBFS.",
    "That was {length:.1f} s, at a level of {level:.0f} dBFS.",
    "You spoke for {length:.1f} s, at {level:.0f} dBFS.",
)


def describe(utterance: Utterance, generator: np.random.Generator) -> str:
    """The text for an utterance; the wording is drawn with the call's seed."""
    wording = WORDINGS[generator.integers(len(WORDINGS))]
    return wording.format(length=len(utterance.samples) / SAMPLE_RATE_HZ, level=utterance.level_dbfs)


def sound_of(text: str) -> Samples:
    """``text`` as sound at its own pitch: a recording if there is one, else one syllable per three
    letters."""
    if text in RECORDED:
        return _recorded(RECORDED[text])
    return np.concatenate([_word(word) for word in text.split()] or [np.zeros(0, dtype=np.float32)])


@functools.cache
def _recorded(name: str) -> Samples:
    samples, rate_hz = soundfile.read(SOUNDS / name, dtype="float32")
    assert rate_hz == SAMPLE_RATE_HZ
    return np.asarray(samples, dtype=np.float32)


def _word(word: str) -> Samples:
    syllables = max(1, round(len(word) / 3))
    time_sec = np.arange(int(SYLLABLE_SEC * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    envelope = np.sin(np.pi * time_sec / SYLLABLE_SEC) ** 2
    voiced = sum(np.sin(2 * np.pi * BABBLE_HZ * n * time_sec) / n for n in (1, 2, 3, 4))
    gap = np.zeros(int(0.06 * SAMPLE_RATE_HZ))
    return np.concatenate([*[0.15 * envelope * voiced] * syllables, gap]).astype(np.float32)
