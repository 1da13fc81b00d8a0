"""Takes cues out of what the assistant says: neither their words nor their sound reach the caller.

Pure, frame by frame: for each answer of the model one for the caller. Words that may become a phrase are held
back with their sound, and silence is played. Should they not become one, they are heard a little later, and
the delay is caught up in the assistant's next silence. A marker has no sound and holds back its text only.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np

from personaplex_ui.audio.frames import FRAME_SEC, SAMPLE_RATE_HZ, Frame, silent_frame
from personaplex_ui.audio.levels import QUIET_DBFS, SPEECH_DBFS, rms_dbfs
from personaplex_ui.calls.cue_patterns import CueMatch, CuePatterns
from personaplex_ui.calls.cues import Cue, Cues
from personaplex_ui.calls.transcript import NEW_UTTERANCE_AFTER_SEC
from personaplex_ui.engine.speech_model import Answer

MOST_HELD_FRAMES = 37
"""Not quite 3 s: the longest that anything is held back, and so the largest delay."""

MOST_HELD_CHARACTERS = 400

WORD_OVER_FRAMES = 6
"""0.48 s: pieces of one word, and of a marker, come in frames that follow each other."""

LAST_WORD_FRAMES = 6
"""After a marker the word before it is still heard for at most so long. The text runs ahead of the sound."""

ONSET_FRAMES = 4
"""Some engines tell a word when half of it has been said. Sound that begins after a silence waits so long for
its first word, which may begin a phrase."""

SILENCE_FRAMES = 2
"""So many quiet frames before sound make it an onset."""

NEW_SENTENCE_FRAMES = round(NEW_UTTERANCE_AFTER_SEC / FRAME_SEC)
FADE_SAMPLES = SAMPLE_RATE_HZ // 100

_ENDS = ".!?\u2026\n\u3002\uff01\uff1f"
_AFTER_CUE = ".,;:!?\u2026"
"""Punctuation that goes with a cue before it."""


@dataclass(frozen=True, slots=True)
class Filtered:
    """What the caller gets. ``late``: text that was held back, to be added before that of ``answer``;
    ``cues``: those that were given in this frame."""

    answer: Answer
    late: str = ""
    cues: tuple[Cue, ...] = ()


@dataclass(slots=True)
class _Delayed:
    number: int
    frame: Frame
    text: str = ""

    @property
    def quiet(self) -> bool:
        return _is_quiet(self.frame)


class CueFilter:
    """One for each call."""

    def __init__(self, cues: Cues) -> None:
        self._patterns = CuePatterns(cues)
        self._next = 0
        self._line: deque[_Delayed] = deque()
        """The frames that have not been given out, in order; without a delay there are none between calls."""
        self._undecided: deque[tuple[str, int]] = deque()
        """Characters that may be of a cue, each with the number of its frame."""
        self._holds_words = False
        """Whether they are words, whose sound is held back as well."""
        self._late = ""
        self._last_text = -NEW_SENTENCE_FRAMES
        self._begins_sentence = True
        self._drops = ""
        """The characters that go with the cue that has just been given."""
        self._mute_in: int | None = None
        """Frames until the sound is muted; None: it is to be heard."""
        self._played = silent_frame()
        self._quiet_frames = SILENCE_FRAMES
        self._onset: int | None = None
        """The frame in which sound began whose first word is not known or not decided."""

    @property
    def delay_frames(self) -> int:
        """How many frames are held back now."""
        return len(self._line)

    def feed(self, answer: Answer) -> Filtered:
        """Take the model's next answer; returns the caller's."""
        now = self._next
        self._next += 1
        if answer.text and now - self._last_text >= NEW_SENTENCE_FRAMES:
            self._begins_sentence = True
        if _has_word(answer.text):
            self._mute_in = None
        self._line.append(_Delayed(now, self._muted(answer.frame)))
        self._undecided.extend((character, now) for character in answer.text)
        if answer.text:
            self._last_text = now
        self._notice_onset(now)
        cues = self._decide(now)
        frame, text = self._next_out(now)
        late, self._late = self._late, ""
        return Filtered(Answer(frame, text, answer.heard), late, cues)

    def finish(self) -> str:
        """The text that is still held back at the end of the call, less what is a cue."""
        self._decide(self._next + MOST_HELD_FRAMES)
        text = self._late + "".join(each.text for each in self._line)
        self._late = ""
        self._line.clear()
        return text

    # Text ------------------------------------------------------------------------------------------

    def _decide(self, now: int) -> tuple[Cue, ...]:
        """Decide about the text as far as that can be done, and return the cues in it."""
        cues: list[Cue] = []
        self._holds_words = False
        while self._undecided:
            first = self._undecided[0][0]
            if first in self._drops:
                self._undecided.popleft()
                self._begins_sentence |= first in _ENDS
                continue
            self._drops = ""
            text = "".join(character for character, _ in self._undecided)
            word_over = now - self._last_text >= WORD_OVER_FRAMES
            reading = self._patterns.read(text, self._begins_sentence, word_over)
            if reading.may_grow and not self._is_late(now, reading.has_words):
                self._holds_words = reading.has_words
                break
            if reading.match is not None:
                self._take_out(reading.match, now)
                cues.append(reading.match.cue)
            else:
                self._release_first()
        return tuple(cues)

    def _is_late(self, now: int, has_words: bool) -> bool:
        if len(self._undecided) > MOST_HELD_CHARACTERS or now - self._first_held() >= MOST_HELD_FRAMES:
            return True
        return not has_words and now - self._last_text >= WORD_OVER_FRAMES

    def _first_held(self) -> int:
        """The frame in which the undecided text, or its sound, began."""
        first = next((number for character, number in self._undecided if not character.isspace()), self._next)
        return first if self._onset is None else min(first, self._onset)

    def _release_first(self) -> None:
        """The first undecided character is of no cue."""
        character, number = self._undecided.popleft()
        if character in _ENDS:
            self._begins_sentence = True
        elif not (character.isspace() or character in "\"'\u201c\u2018([\u00bf\u00a1"):
            self._begins_sentence = False
        if character.isalnum():
            self._onset = None
        if self._line and number >= self._line[0].number:
            self._line[number - self._line[0].number].text += character
        else:
            self._late += character

    def _take_out(self, match: CueMatch, now: int) -> None:
        first = self._first_held()
        last = [self._undecided.popleft() for _ in range(match.length)][-1][1]
        next_word = next((number for character, number in self._undecided if character.isalnum()), None)
        if not match.marker:
            silent_until = now if next_word is None else max(last, next_word - 1)
            for each in self._line:
                if first <= each.number <= silent_until:
                    each.frame = silent_frame()
        if next_word is None:
            after_word = match.marker and self._line and not self._line[-1].quiet
            self._mute_in = LAST_WORD_FRAMES if after_word else 0
        self._drops = _AFTER_CUE + match.marker
        self._begins_sentence = bool(match.marker)
        self._onset = None

    # Sound -----------------------------------------------------------------------------------------

    def _notice_onset(self, now: int) -> None:
        """Notice sound after a silence whose words have not come."""
        if not self._patterns.phrases:
            return
        loud = rms_dbfs(self._line[-1].frame) >= SPEECH_DBFS
        words = any(character.isalnum() for character, _ in self._undecided)
        if self._onset is None and loud and self._quiet_frames >= SILENCE_FRAMES:
            if self._begins_sentence and not words:
                self._onset = now
        elif self._onset is not None and not words and now - self._onset >= ONSET_FRAMES:
            self._onset = None
        self._quiet_frames = 0 if loud else self._quiet_frames + 1

    def _muted(self, frame: Frame) -> Frame:
        if self._mute_in is None:
            return frame
        if self._mute_in == 0 or rms_dbfs(frame) < QUIET_DBFS:
            self._mute_in = 0
            return silent_frame()
        self._mute_in -= 1
        return frame if self._mute_in else _faded(frame)

    def _next_out(self, now: int) -> tuple[Frame, str]:
        """The frame and the text for the caller now. While there is a delay, of each silence one frame is
        played, and the others are left out."""
        held_from = now + 1
        if self._holds_words or self._onset is not None:
            held_from = self._first_held()
        if self._line[0].number >= held_from:
            self._played = silent_frame()
            return self._played, ""
        out = self._line.popleft()
        while self._line and self._line[0].number < held_from and out.quiet and _is_quiet(self._played):
            self._late += out.text
            out = self._line.popleft()
        self._played = out.frame
        return out.frame, out.text


def without_cues(text: str, cues: Cues) -> str:
    """``text`` without what would give a cue if the assistant said it."""
    cue_filter = CueFilter(cues)
    filtered = cue_filter.feed(Answer(silent_frame(), text))
    return filtered.late + filtered.answer.text + cue_filter.finish()


def _has_word(text: str) -> bool:
    return any(character.isalnum() for character in text)


def _is_quiet(frame: Frame) -> bool:
    return rms_dbfs(frame) < QUIET_DBFS


def _faded(frame: Frame) -> Frame:
    """``frame`` falling silent within 10 ms."""
    faded = silent_frame()
    faded[:FADE_SAMPLES] = frame[:FADE_SAMPLES] * np.linspace(1.0, 0.0, FADE_SAMPLES, dtype=np.float32)
    return faded
