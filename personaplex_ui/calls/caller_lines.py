"""The caller's lines: which of them a stretch of speech goes on with, and which of them words belong to.

Words may come late, in any order, and without a sound that is loud enough for speech. Depends on stretches,
text and times only.
"""

from collections import deque

from personaplex_ui.audio.levels import Segment, SpeechDetector, Stretch
from personaplex_ui.calls.caller_words import plain_piece
from personaplex_ui.calls.conversation_lines import GrowingLine, GrowingLines, Who
from personaplex_ui.calls.transcript import NEW_UTTERANCE_AFTER_SEC

NEW_LINE_AFTER_SEC = NEW_UTTERANCE_AFTER_SEC
"""A pause of the caller of at least this length begins a new line; so does a pause in which the assistant
speaks."""

LONGEST_LINE_SEC = 60.0
"""A caller who speaks on (or whose room is loud) begins a new line."""

WORDS_LAG_SEC = 0.5
"""So much earlier or later than its sound text may come, the assistant's and the caller's."""

LINES_AWAITING_WORDS = 64
"""The caller's latest lines. Words that come later than so many lines make a line of their own."""


class CallerLines:
    """Adds the caller's lines to ``lines``. ``assistant``: knows when the assistant speaks."""

    def __init__(self, lines: GrowingLines, assistant: SpeechDetector) -> None:
        self.spoken: GrowingLine | None = None
        """The newest line of sound that is loud enough for speech."""
        self._lines = lines
        self._assistant = assistant
        self._latest: deque[GrowingLine] = deque(maxlen=LINES_AWAITING_WORDS)
        self._worded: GrowingLine | None = None
        """The line that got the caller's latest words."""
        self._stretch_frame = -1
        """Where the newest stretch in ``spoken`` began."""

    def grow(self, stretch: Stretch) -> None:
        """The caller's newest stretch of speech began or went on."""
        line, segment = self.spoken, stretch.segment
        same = stretch.start_frame == self._stretch_frame
        self._stretch_frame = stretch.start_frame
        if line is None or not self._goes_on(line, segment, same):
            self._lines.close(line)
            start_sec = line.end_sec if line is not None and same else segment.start_sec
            line = self.spoken = self._adopted(start_sec) or self._add(start_sec, segment.end_sec)
        line.end_sec = segment.end_sec
        self._lines.note(line)

    def hear_words(self, text: str, start_sec: float, end_sec: float, answer: GrowingLine | None) -> None:
        """See ``Conversation.hear_words``. ``answer``: the assistant's newest line."""
        piece = plain_piece(text)
        if not piece:
            return
        line = self._line_of_words(piece, start_sec, end_sec, answer)
        line.words.add(piece, start_sec)
        line.text = line.words.text
        if line.of_words:
            line.start_sec, line.end_sec = min(line.start_sec, start_sec), max(line.end_sec, end_sec)
        self._worded = line
        self._lines.note(line)

    @property
    def answered(self) -> bool:
        """Whether the assistant began to speak after what is in ``spoken``."""
        line, speech = self.spoken, self._assistant.stretch
        return line is not None and speech is not None and speech.segment.start_sec >= line.end_sec

    def _goes_on(self, line: GrowingLine, segment: Segment, same: bool) -> bool:
        """Whether ``line`` goes on with ``segment``. ``same``: it already has a part of it."""
        if not line.open or segment.end_sec - line.start_sec > LONGEST_LINE_SEC:
            return False
        paused_sec = segment.start_sec - line.end_sec
        return same or (paused_sec < NEW_LINE_AFTER_SEC and not self.answered)

    def _line_of_words(
        self, piece: str, start_sec: float, end_sec: float, answer: GrowingLine | None
    ) -> GrowingLine:
        """The line with most of what was said from ``start_sec`` to ``end_sec``; a new one if there is none,
        since somebody may speak so quietly that only the words tell."""
        worded = self._worded
        same_word = worded is not None and not piece.startswith(" ")
        if worded is not None and same_word and start_sec - worded.end_sec <= WORDS_LAG_SEC:
            return worded
        best, most_sec = None, -WORDS_LAG_SEC
        for line in self._latest:
            shared_sec = min(end_sec, line.end_sec) - max(start_sec, line.start_sec)
            if shared_sec > max(most_sec, 0.0 if line.of_words else -WORDS_LAG_SEC):
                best, most_sec = line, shared_sec
        if best is not None:
            return best
        if self._latest and _words_go_on(self._latest[-1], start_sec, end_sec, answer):
            return self._latest[-1]
        new = self._add(start_sec, end_sec)
        new.open, new.of_words = False, True
        return new

    def _add(self, start_sec: float, end_sec: float) -> GrowingLine:
        line = self._lines.add(Who.CALLER, start_sec, end_sec)
        self._latest.append(line)
        return line

    def _adopted(self, start_sec: float) -> GrowingLine | None:
        """The line that words have made already of speech that is loud enough from ``start_sec`` on."""
        line = self._latest[-1] if self._latest else None
        if line is None or not line.of_words or line.end_sec < start_sec - WORDS_LAG_SEC:
            return None
        line.open, line.of_words = True, False
        return line


def _words_go_on(line: GrowingLine, start_sec: float, end_sec: float, answer: GrowingLine | None) -> bool:
    """Whether ``line`` has only words, and goes on with those from ``start_sec`` to ``end_sec``."""
    answered = answer is not None and line.end_sec <= answer.start_sec <= start_sec
    near = 0.0 <= start_sec - line.end_sec < NEW_LINE_AFTER_SEC
    return line.of_words and near and not answered and end_sec - line.start_sec <= LONGEST_LINE_SEC
