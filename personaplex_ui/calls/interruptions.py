"""Decides whether a caller who spoke over the assistant interrupted it.

Depends on stretches of speech and on the first words after them. It is an interruption if the assistant
falls silent within about a second and does not go on; "mhm" to an assistant that goes on is none. It decides
while the call goes on, for the lines; how often and how late the assistant stopped is in the duplex report.
"""

from collections import deque

from personaplex_ui.audio.levels import SpeechDetector, Stretch

STOPS_WITHIN_FRAMES = 15
"""1.2 s from the caller's first sound: an assistant that stops later stopped by itself."""

MORE_THAN_A_WORD_FRAMES = 8
"""0.64 s: a caller who speaks for so long to an assistant that fell silent took the turn."""

GOES_ON_WITHIN_FRAMES = 10
"""0.8 s: after a word as short as "mhm", an assistant that is silent for so long will not go on."""


class InterruptionDetector:
    """Follows the two ``SpeechDetector`` s of a call; constant time and memory."""

    def __init__(self, caller: SpeechDetector, assistant: SpeechDetector) -> None:
        self._caller = caller
        self._assistant = assistant
        self._began: deque[int] = deque(maxlen=4)
        """The frames at which the caller's latest stretches began."""
        self._decided: int | None = None
        """The start of the assistant's newest stretch, once it is decided."""

    def caller_spoke(self, stretch: Stretch) -> None:
        """The caller's newest stretch began or grew."""
        if not self._began or self._began[-1] != stretch.start_frame:
            self._began.append(stretch.start_frame)

    def spoken_over(self, frames: int) -> int | None:
        """When the caller began to speak over the assistant, which then fell silent, if that is undecided
        once the first ``frames`` have come."""
        spoken = self._assistant.stretch
        if spoken is None or spoken.start_frame == self._decided or not self._assistant.is_over(frames):
            return None
        earliest = max(spoken.start_frame + 1, spoken.end_frame - STOPS_WITHIN_FRAMES)
        return next((began for began in self._began if earliest <= began < spoken.end_frame), None)

    def interrupted(self, frames: int) -> bool:
        """Whether it is certain by now that the assistant was interrupted."""
        began = self.spoken_over(frames)
        spoken, caller = self._assistant.stretch, self._caller.stretch
        if began is None or spoken is None or caller is None:
            return False
        took_turn = caller.end_frame - began >= MORE_THAN_A_WORD_FRAMES
        return took_turn or frames - spoken.end_frame >= GOES_ON_WITHIN_FRAMES

    def decide(self) -> None:
        """Ask no more about the assistant's newest stretch."""
        self._decided = None if self._assistant.stretch is None else self._assistant.stretch.start_frame


def begins_sentence(piece: str) -> bool | None:
    """Whether a piece that begins a word begins a sentence; None if that cannot be told."""
    word = piece.strip()
    if not word[:1].isalpha() or word == "I" or word.startswith(("I'", "I\u2019")):
        return None
    return word[0].isupper()
