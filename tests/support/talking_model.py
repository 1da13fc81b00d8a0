"""A speech model for tests that says what it is told to, a word a frame, and hears what a test puts into the
caller's mouth."""

from collections import deque
from collections.abc import Mapping

import numpy as np

from personaplex_ui.audio.frames import FRAME_SAMPLES, Frame, silent_frame
from personaplex_ui.engine.speech_model import Answer, Heard, Preparation
from personaplex_ui.errors import SpeakQueueFull
from tests.support.fake_model import FakeModel


class TalkingModel(FakeModel):
    """``pieces``: text that it says by itself; ``hears``: what its caller says, from the next frame on.
    ``most_waiting``: texts that may wait. ``silent``: it says nothing of what waits."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: deque[str] = deque()
        self.hears: deque[str] = deque()
        self.waiting: deque[str] = deque()
        self.most_waiting = 10
        self.silent = False
        self.frames = 0

    @property
    def heard_by(self) -> str:
        return "a test"

    def speak(self, slot: int, text: str) -> None:
        if len(self.waiting) >= self.most_waiting:
            raise SpeakQueueFull("Ten texts are already waiting.")
        self.spoken.append((slot, text))
        self.waiting.append(text)

    @property
    def said(self) -> list[str]:
        """The texts that it was given to say."""
        return [text for _, text in self.spoken]

    def step(self, heard: Mapping[int, Frame], riding: Preparation | None = None) -> Mapping[int, Answer]:
        del riding
        return {slot: self._answer() for slot in heard}

    def _answer(self) -> Answer:
        self.frames += 1
        if not self.pieces and self.waiting and not self.silent:
            self.pieces.extend(f" {word}" for word in self.waiting.popleft().split())
        text = self.pieces.popleft() if self.pieces else ""
        words = Heard(self.hears.popleft(), 1) if self.hears else None
        sound = np.full(FRAME_SAMPLES, 0.2, dtype=np.float32) if text else silent_frame()
        return Answer(sound, text, words)
