"""The model's own words with their times, as Full-Duplex-Bench's recogniser writes them: ``{"text": "Hello
you", "chunks": [{"text": "Hello", "timestamp": [0.4, 0.72]}, ...]}``, in seconds (``get_transcript/asr.py``).

A word begins with the frame that its first piece of text came with. Nothing says where it ends: here with the
sound, or where the next word begins.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from personaplex_ui.audio.frames import FRAME_SAMPLES, FRAME_SEC, SAMPLE_RATE_HZ, Samples
from personaplex_ui.audio.levels import SPEECH_DBFS, rms_dbfs

LONGEST_WORD_FRAMES = 12
"""About 1 s: whatever sounds longer than that after a word's last piece is not the word any more."""


@dataclass(frozen=True, slots=True)
class Word:
    """``text`` without spaces; times from the beginning of the recording."""

    text: str
    start_sec: float
    end_sec: float


def words_of(pieces: Iterable[tuple[int, str]], samples: Samples) -> tuple[Word, ...]:
    """``pieces``: frame numbers and the text that came with each; one that begins a word begins with a space.
    ``samples``: the answer's sound ``[n]``."""
    frames: list[tuple[str, int, int]] = []
    """Of each word: text, first frame, last frame with a piece of it."""
    joins = False
    for number, piece in pieces:
        for index, text in enumerate(piece.split()):
            begins = index > 0 or piece[:1].isspace() or not joins
            first = number if begins or not frames else frames[-1][1]
            text = text if begins or not frames else frames.pop()[0] + text
            frames.append((text, first, number))
            joins = True
        joins = joins and not piece[-1:].isspace()
    starts = [first for _, first, _ in frames[1:]]
    length_sec = len(samples) / SAMPLE_RATE_HZ
    return tuple(
        Word(text, _sec(first, length_sec), _sec(_end(last, next_first, samples), length_sec))
        for (text, first, last), next_first in zip(frames, [*starts, None], strict=False)
    )


def _end(last: int, next_first: int | None, samples: Samples) -> int:
    """The frame before which a word has ended whose last piece came with frame ``last``."""
    end = last + 1
    most = end + LONGEST_WORD_FRAMES
    most = most if next_first is None else min(most, next_first)
    while end < most and rms_dbfs(samples[end * FRAME_SAMPLES : (end + 1) * FRAME_SAMPLES]) >= SPEECH_DBFS:
        end += 1
    return end


def _sec(frame: int, length_sec: float) -> float:
    return round(min(frame * FRAME_SEC, length_sec), 3)


def to_json(words: tuple[Word, ...]) -> str:
    chunks = [{"text": word.text, "timestamp": [word.start_sec, word.end_sec]} for word in words]
    told = {"text": " ".join(word.text for word in words), "chunks": chunks}
    return json.dumps(told, ensure_ascii=False, indent=4) + "\n"
