"""Who spoke when in an ended call: stretches of speech, overlaps, response times, silences.

Depends on levels and times only. All segments are in seconds since the call went live, in chronological
order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from personaplex_ui.audio.frames import FRAME_SEC
from personaplex_ui.audio.levels import Segment, speech_segments
from personaplex_ui.calls.snapshot import EndedCall


@dataclass(frozen=True, slots=True)
class Turns:
    """``responses`` run from the end of the caller's speech to the start of the answer."""

    duration_sec: float
    caller: tuple[Segment, ...]
    assistant: tuple[Segment, ...]
    overlaps: tuple[Segment, ...]
    responses: tuple[Segment, ...]
    silences: tuple[Segment, ...]

    @property
    def median_response_sec(self) -> float | None:
        return median(length_sec(x) for x in self.responses) if self.responses else None


def turns_of(call: EndedCall) -> Turns:
    frames = max(len(call.caller_levels_dbfs), len(call.assistant_levels_dbfs))
    duration_sec = max(call.duration_sec, frames * FRAME_SEC, 0.0)
    caller = speech_segments(call.caller_levels_dbfs)
    assistant = speech_segments(call.assistant_levels_dbfs)
    return Turns(
        duration_sec=duration_sec,
        caller=tuple(caller),
        assistant=tuple(assistant),
        overlaps=tuple(_overlaps(caller, assistant)),
        responses=tuple(_responses(caller, assistant)),
        silences=tuple(_silences([*caller, *assistant], duration_sec)),
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
    """From the end of the caller's speech to the assistant's next start, if neither spoke in between.

    An assistant that was already speaking when the caller stopped was interrupted, not asked.
    """
    found: list[Segment] = []
    assistant_end_sec = 0.0
    for answer in assistant:
        before = [x for x in caller if x.start_sec < answer.start_sec]
        if before and assistant_end_sec <= before[-1].end_sec <= answer.start_sec:
            found.append(Segment(before[-1].end_sec, answer.start_sec))
        assistant_end_sec = answer.end_sec
    return found


def _silences(segments: Sequence[Segment], duration_sec: float) -> list[Segment]:
    found: list[Segment] = []
    quiet_from_sec = 0.0
    end = Segment(duration_sec, duration_sec)
    for segment in [*sorted(segments, key=lambda x: x.start_sec), end]:
        if segment.start_sec > quiet_from_sec:
            found.append(Segment(quiet_from_sec, segment.start_sec))
        quiet_from_sec = max(quiet_from_sec, segment.end_sec)
    return found
