"""Recorded speech with its words (tests/data/librivox), and the word error rate of what was made of it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import soundfile
import soxr

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples

FOLDER = Path(__file__).parents[1] / "data" / "librivox"


@dataclass(frozen=True)
class Recording:
    """``samples``: 24 kHz. ``words``: lower case, no punctuation."""

    samples: Samples
    words: str


def recordings() -> list[Recording]:
    """All of them, 24.7 s together."""
    lines = (FOLDER / "words.txt").read_text(encoding="utf-8").splitlines()
    return [Recording(_read(name), words) for name, _, words in (line.partition(" ") for line in lines)]


def _read(name: str) -> Samples:
    read = soundfile.read(FOLDER / f"{name}.flac", dtype="float32")  # pyright: ignore[reportUnknownMemberType]
    samples, rate_hz = cast(tuple[Samples, int], read)
    return np.asarray(cast(object, soxr.resample(samples, rate_hz, SAMPLE_RATE_HZ)), dtype=np.float32)


def plain_words(text: str) -> list[str]:
    """The words of ``text``, without punctuation, hyphens and abbreviations."""
    text = text.lower().replace("mr.", "mister").replace("-", " ")
    return re.sub(r"[^a-z0-9' ]", " ", text).split()


def word_error_rate(said: Sequence[str], heard: Sequence[str]) -> float:
    """Words wrong, missing or too many in the texts ``heard``, for each word of the texts ``said``."""
    errors = sum(_edits(plain_words(one), plain_words(other)) for one, other in zip(said, heard, strict=True))
    return errors / sum(len(plain_words(text)) for text in said)


def _edits(said: list[str], heard: list[str]) -> int:
    """Levenshtein's distance in words."""
    row = list(range(len(heard) + 1))
    for line, word in enumerate(said, 1):
        before, row[0] = row[0], line
        for column, other in enumerate(heard, 1):
            changed = before + (word != other)
            before, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, changed)
    return row[-1]
