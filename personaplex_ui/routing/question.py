"""What is asked: the caller's last words, with the conversation before them. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from personaplex_ui.calls.conversation_lines import Line, Who
from personaplex_ui.calls.cues import Cues
from personaplex_ui.speech.parts import Turn

CALLER, ASSISTANT = "caller", "assistant"

MOST_LINES = 60
"""The latest ones are read."""

INTERRUPTS_AFTER_SEC = 0.64
"""A caller who speaks for so long takes the turn; a shorter sound may be "mhm"."""


@dataclass(frozen=True, slots=True)
class Question:
    """``turns`` end with what is asked. ``end``: where that ends, as the number of a line and a length in
    it."""

    turns: tuple[Turn, ...]
    end: tuple[int, int]


BEGINNING = (-1, 0)


def question_in(lines: Sequence[Line], after: tuple[int, int] = BEGINNING) -> Question | None:
    """The caller's last words in ``lines``; None if none are known that came ``after`` the end of another
    question."""
    lines = lines[-MOST_LINES:]
    last = next((at for at in reversed(range(len(lines))) if _has_callers_words(lines[at])), None)
    if last is None:
        return None
    end = (lines[last].n, len(lines[last].text))
    if end <= after:
        return None
    turns: list[Turn] = []
    for line in lines[: last + 1]:
        text, speaker = line.text.strip(), CALLER if line.who is Who.CALLER else ASSISTANT
        if not text:
            continue
        if turns and turns[-1].speaker == speaker:
            text = f"{turns.pop().text} {text}"
        turns.append(Turn(speaker, text))
    return Question(tuple(turns), end)


def role_for_answers(role: str, cues: Cues) -> str:
    """``role`` without the sentences that tell the assistant when to give a cue: whoever answers must not."""
    for phrase in (*cues.ask, *cues.human):
        sentence = rf"[^.?!\n]*{re.escape(phrase)}[^.?\n]*[.?]?[\"'\u201d\u2019]*"
        role = re.sub(sentence, "", role, flags=re.IGNORECASE)
    return role.strip()


def caller_took_turn(lines: Sequence[Line], since_sec: float) -> bool:
    """Whether the caller has spoken after ``since_sec`` for long enough to mean it."""
    return any(
        line.who is Who.CALLER and line.end_sec - max(line.start_sec, since_sec) >= INTERRUPTS_AFTER_SEC
        for line in lines[-MOST_LINES:]
    )


def _has_callers_words(line: Line) -> bool:
    return line.who is Who.CALLER and bool(line.text.strip())
