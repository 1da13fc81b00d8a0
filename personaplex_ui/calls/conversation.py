"""The conversation of a call as it arises: what the assistant says, when the caller speaks, and what if
somebody recognises it, what was typed, and who interrupted whom.

Fed frame by frame on the event loop, in constant time a frame; depends on levels, text and times only.
"""

import math

from personaplex_ui.audio.frames import FRAME_SEC
from personaplex_ui.audio.levels import SpeechDetector
from personaplex_ui.calls.answer_times import AnswerTimes
from personaplex_ui.calls.caller_lines import NEW_LINE_AFTER_SEC, WORDS_LAG_SEC, CallerLines
from personaplex_ui.calls.conversation_lines import GrowingLine, GrowingLines, Line, Who
from personaplex_ui.calls.interruptions import InterruptionDetector, begins_sentence
from personaplex_ui.calls.level_track import LevelTrack
from personaplex_ui.calls.transcript import Transcript, ends_sentence


class Conversation:
    """The lines of one call. All times are seconds since the call went live and never run backwards."""

    def __init__(self) -> None:
        self.transcript = Transcript()
        self.caller_levels = LevelTrack()
        self.assistant_levels = LevelTrack()
        self.interruptions = 0
        """How often the caller interrupted the assistant so far."""
        self._caller = SpeechDetector()
        self._assistant = SpeechDetector()
        self._interruptions = InterruptionDetector(self._caller, self._assistant)
        self._answers = AnswerTimes()
        self._lines = GrowingLines(self.caller_levels)
        self._caller_lines = CallerLines(self._lines, self._assistant)
        self._assistant_line: GrowingLine | None = None

    # What happens in the call ----------------------------------------------------------------------

    def hear_caller(self, at_sec: float, level_dbfs: float) -> None:
        """The caller's frame that began at ``at_sec`` was so loud."""
        frame = self.caller_levels.set(at_sec, level_dbfs)
        stretch = self._caller.hear(frame, level_dbfs)
        if stretch is not None:
            self._interruptions.caller_spoke(stretch)
            self._answers.caller_spoke(stretch)
            self._caller_lines.grow(stretch)

    def hear_words(self, text: str, start_sec: float, end_sec: float) -> None:
        """The caller said ``text`` then, a piece of any length that begins with a space if it begins a word.
        It may come late, also when its line is closed or the call is over."""
        self._caller_lines.hear_words(text, start_sec, end_sec, self._assistant_line)

    def hear_assistant(self, at_sec: float, level_dbfs: float) -> None:
        """The assistant's frame that is heard from ``at_sec`` is so loud."""
        frame = self.assistant_levels.set(at_sec, level_dbfs)
        stretch = self._assistant.hear(frame, level_dbfs)
        if stretch is not None:
            self._answers.assistant_spoke(stretch)
        self.advance(at_sec)

    def say(self, piece: str, start_sec: float, end_sec: float) -> None:
        """The assistant says ``piece``; see ``Transcript.append``."""
        if piece[:1].isspace() and self._interruptions.spoken_over(_known_frames(start_sec)) is not None:
            new = begins_sentence(piece)
            if new:
                self._mark_interruption()
            elif new is not None:  # it goes on with its sentence
                self._interruptions.decide()
        began = self.transcript.append(piece, start_sec, end_sec)
        spoken = self.transcript.last
        line = self._assistant_line
        if began:
            self._lines.close(line)
            line = self._assistant_line = None
        if spoken is None or not spoken.text.strip():
            return
        if line is None:
            line = self._assistant_line = self._lines.add(Who.ASSISTANT, spoken.start_sec, spoken.end_sec)
        line.text, line.end_sec = spoken.text.strip(), spoken.end_sec
        self._lines.note(line)

    def typed(self, text: str, at_sec: float) -> None:
        """The caller typed ``text`` for the assistant to say."""
        line = self._lines.add(Who.TYPED, at_sec, at_sec)
        line.text, line.open = text.strip(), False

    def advance(self, now_sec: float) -> None:
        """Close lines that do not go on, and decide what was undecided. Any number of times a second."""
        frames = _known_frames(now_sec)
        self._answers.advance(frames)
        if self._interruptions.interrupted(frames):
            self._mark_interruption()
        for line in (self._caller_lines.spoken, self._assistant_line):
            if line is not None and line.open and now_sec - line.end_sec >= NEW_LINE_AFTER_SEC:
                self._lines.close(line)
        if self._caller.is_over(frames) and self._caller_lines.answered:
            self._lines.close(self._caller_lines.spoken)

    def finish(self) -> None:
        """The call is over: close all lines."""
        self._lines.close(self._caller_lines.spoken)
        self._lines.close(self._assistant_line)

    def _mark_interruption(self) -> None:
        """The caller's newest line interrupted the assistant's, unless its sentence was complete."""
        self._interruptions.decide()
        said, caller, spoken = self._assistant_line, self._caller_lines.spoken, self._assistant.stretch
        if said is None or caller is None or spoken is None or said.cut or ends_sentence(said.text):
            return
        if said.end_sec < spoken.segment.start_sec - WORDS_LAG_SEC:  # words of an earlier turn
            return
        said.cut = caller.interrupts = True
        self.interruptions += 1
        self.transcript.end_utterance()
        self._lines.note(caller)
        self._lines.close(said)
        self._lines.note(said)

    # What can be read ------------------------------------------------------------------------------

    @property
    def answer_sec(self) -> float | None:
        """The median time so far from the caller's end to the assistant's begin; None without an answer."""
        return self._answers.median_sec

    @property
    def caller_spoke_until_sec(self) -> float:
        """The end of the caller's newest stretch of speech; minus infinity if there is none."""
        stretch = self._caller.stretch
        return -math.inf if stretch is None else stretch.segment.end_sec

    @property
    def version(self) -> int:
        """Grows with every change of a line."""
        return self._lines.version

    @property
    def lines(self) -> tuple[Line, ...]:
        """All lines, in the order they appeared."""
        return self._lines.all()

    def changed_since(self, version: int) -> tuple[Line, ...]:
        """See ``GrowingLines.changed_since``."""
        return self._lines.changed_since(version)


def _known_frames(now_sec: float) -> int:
    """How many frames of both sides are certainly complete: a frame of the caller comes 80 ms after its
    begin, and the assistant's before that."""
    return max(0, int(now_sec / FRAME_SEC) - 1)
