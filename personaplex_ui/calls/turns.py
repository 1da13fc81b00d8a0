"""Who spoke when in an ended call: stretches of speech, overlaps, response times.

Depends on levels and times only. All segments are in seconds since the call went live, in chronological
order.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from personaplex_ui.audio.levels import Segment, speech_segments
from personaplex_ui.calls.answer_times import is_answer
from personaplex_ui.calls.snapshot import EndedCall


@dataclass(frozen=True, slots=True)
class Turns:
    """``responses`` run from the end of the caller's speech to the start of the answer."""

    caller: tuple[Segment, ...]
    assistant: tuple[Segment, ...]
    overlaps: tuple[Segment, ...]
    responses: tuple[Segment, ...]

    @property
    def median_response_sec(self) -> float | None:
        return median(length_sec(x) for x in self.responses) if self.responses else None


def turns_of(call: EndedCall) -> Turns:
    caller = speech_segments(call.caller_levels_dbfs)
    assistant = speech_segments(call.assistant_levels_dbfs)
    return Turns(
        caller=tuple(caller),
        assistant=tuple(assistant),
        overlaps=tuple(_overlaps(caller, assistant)),
        responses=tuple(_responses(caller, assistant)),
    )


def length_sec(*segments: Segment) -> float:
    """The total length of all ``segments``."""
    return sum(x.end_sec - x.start_sec for x in segments)


def _overlaps(first: Sequence[Segment], second: Sequence[Segment]) -> list[Segment]:
    found: list[Segment] = []
    i = j = 0
    while i < len(first) and j < len(second):
        start_sec = max(first[i].start_sec, second[j].start_sec)
        end_sec = min(first[i].end_sec, second[j].end_sec)
        if end_sec > start_sec:
            found.append(Segment(start_sec, end_sec))
        if first[i].end_sec < second[j].end_sec:
            i += 1
        else:
            j += 1
    return found


def _responses(caller: Sequence[Segment], assistant: Sequence[Segment]) -> list[Segment]:
    """From the end of the caller's speech to the start of what ``is_answer`` takes for the answer."""
    found: list[Segment] = []
    before_end_sec = 0.0
    for answer in assistant:
        asked = bisect_left(caller, answer.start_sec, key=lambda each: each.start_sec)
        if asked and is_answer(caller[asked - 1], before_end_sec, answer):
            found.append(Segment(caller[asked - 1].end_sec, answer.start_sec))
        before_end_sec = answer.end_sec
    return found
