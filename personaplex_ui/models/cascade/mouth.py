"""Says lines to one caller, one after the other: their sound frame by frame, their words along with it."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from personaplex_ui.audio.frames import FRAME_SAMPLES, SAMPLE_RATE_HZ, Frame, Samples, silent_frame
from personaplex_ui.engine.speech_model import Answer
from personaplex_ui.speech.parts import SpeechPartFailed
from personaplex_ui.speech.work.jobs import Job

FADE_SAMPLES = SAMPLE_RATE_HZ // 100
"""10 ms."""

LINES_AHEAD = 2
"""Sentences synthesised while one is being said."""


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence, and the job that makes its sound. ``forced``: it is no part of an answer."""

    text: str
    sound: Job[Samples]
    forced: bool = False


class Playing:
    """The sound of a line, with its words spread over its length."""

    def __init__(self, samples: Samples, text: str, forced: bool = False) -> None:
        self.forced = forced
        self._samples = samples
        self._words = text.split()
        self._position = 0
        self._words_said = 0

    @property
    def over(self) -> bool:
        return self._position >= len(self._samples)

    def next_frame(self) -> tuple[Frame, str]:
        """The next 80 ms, with silence after the end, and the words that belong to them."""
        frame = silent_frame()
        piece = self._samples[self._position : self._position + FRAME_SAMPLES]
        frame[: len(piece)] = piece
        self._position += FRAME_SAMPLES
        until = len(self._words)
        if not self.over:
            # Half of a word must have been said.
            until = int(self._position / len(self._samples) * len(self._words) + 0.5)
        words = self._words[self._words_said : until]
        self._words_said = until
        return frame, "".join(f" {word}" for word in words)

    def fade_out(self) -> Frame:
        """The frame in which it falls silent: a fade of 10 ms, then silence."""
        frame, _ = self.next_frame()
        frame[:FADE_SAMPLES] *= np.linspace(1.0, 0.0, FADE_SAMPLES, dtype=np.float32)
        frame[FADE_SAMPLES:] = 0.0
        return frame


class Mouth:
    """``told_of``: gets each failure of the synthesiser. A line without sound is shown instead."""

    def __init__(self, told_of: Callable[[SpeechPartFailed], None]) -> None:
        self._told_of = told_of
        self._lines: deque[Line] = deque()
        self._playing: Playing | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing is being said or waits to be."""
        return self._playing is None and not self._lines

    @property
    def silent(self) -> bool:
        return self._playing is None

    @property
    def has_room(self) -> bool:
        return len(self._lines) < LINES_AHEAD

    @property
    def has_forced(self) -> bool:
        """Whether a sentence is being said, or waits, that is no part of an answer."""
        playing = self._playing is not None and self._playing.forced
        return playing or any(line.forced for line in self._lines)

    @property
    def working(self) -> bool:
        return any(line.sound.under_way for line in self._lines)

    def add(self, line: Line) -> None:
        """Say ``line`` after those that wait; a forced one before those of an answer."""
        place = sum(each.forced for each in self._lines) if line.forced else len(self._lines)
        self._lines.insert(place, line)

    def next_answer(self) -> Answer:
        """What is said in the next frame. A line begins when all of its sound is there."""
        if self._playing is None and self._lines and self._lines[0].sound.done:
            line = self._lines.popleft()
            try:
                self._playing = Playing(line.sound.result(), line.text, line.forced)
            except SpeechPartFailed as failure:
                self._told_of(failure)
                return Answer(silent_frame(), f" {line.text}")
        if self._playing is None:
            return Answer(silent_frame())
        frame, words = self._playing.next_frame()
        if self._playing.over:
            self._playing = None
        return Answer(frame, words)

    def fall_silent(self) -> Frame:
        """Give up all lines; returns the last frame of what was being said, or silence."""
        for line in self._lines:
            line.sound.cancel()
        self._lines.clear()
        playing, self._playing = self._playing, None
        return playing.fade_out() if playing is not None else silent_frame()
