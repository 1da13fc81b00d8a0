"""What a call comes to in three figures, from who spoke when."""

from collections.abc import Iterable
from dataclasses import dataclass

from personaplex_ui.calls.conversation_lines import Line
from personaplex_ui.calls.turns import Turns, length_sec


@dataclass(frozen=True, slots=True)
class Figures:
    """``answer_sec``: the median time from the caller's end to the assistant's begin, None without an answer.
    ``caller_share``: the caller's part of all speech, from 0 to 1, None if nobody spoke. ``interruptions``:
    how often the caller interrupted the assistant."""

    answer_sec: float | None
    caller_share: float | None
    interruptions: int


def figures_of(turns: Turns, lines: Iterable[Line]) -> Figures:
    caller_sec, assistant_sec = length_sec(*turns.caller), length_sec(*turns.assistant)
    spoken_sec = caller_sec + assistant_sec
    return Figures(
        answer_sec=turns.median_response_sec,
        caller_share=caller_sec / spoken_sec if spoken_sec else None,
        interruptions=sum(line.cut for line in lines),
    )
