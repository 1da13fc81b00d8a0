"""Stretches of time in seconds, in order and apart from each other: joined, intersected, found.

Pure. ``audio.levels.Segment`` is the stretch."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence

from personaplex_ui.audio.levels import Segment


def joined(segments: Iterable[Segment], gap_sec: float) -> list[Segment]:
    """Neighbours that are less than ``gap_sec`` apart become one."""
    found: list[Segment] = []
    for each in segments:
        if found and each.start_sec - found[-1].end_sec < gap_sec:
            found[-1] = Segment(found[-1].start_sec, max(found[-1].end_sec, each.end_sec))
        else:
            found.append(each)
    return found


def intersections(first: Sequence[Segment], second: Sequence[Segment]) -> Iterator[Segment]:
    """When both are."""
    i = j = 0
    while i < len(first) and j < len(second):
        start_sec = max(first[i].start_sec, second[j].start_sec)
        end_sec = min(first[i].end_sec, second[j].end_sec)
        if end_sec > start_sec:
            yield Segment(start_sec, end_sec)
        if first[i].end_sec < second[j].end_sec:
            i += 1
        else:
            j += 1


def silences(first: Sequence[Segment], second: Sequence[Segment], duration_sec: float) -> Iterator[Segment]:
    """When neither is, from 0 to ``duration_sec``."""
    until_sec = 0.0
    for each in sorted([*first, *second], key=lambda segment: segment.start_sec):
        if each.start_sec > until_sec:
            yield Segment(until_sec, each.start_sec)
        until_sec = max(until_sec, each.end_sec)
    if duration_sec > until_sec:
        yield Segment(until_sec, duration_sec)


def last_before(segments: Sequence[Segment], at_sec: float) -> Segment | None:
    """The last one that began before ``at_sec``."""
    index = bisect_left(segments, at_sec, key=lambda each: each.start_sec)
    return segments[index - 1] if index else None


def first_from(segments: Sequence[Segment], at_sec: float) -> Segment | None:
    """The first one that begins at ``at_sec`` or later."""
    index = bisect_left(segments, at_sec, key=lambda each: each.start_sec)
    return segments[index] if index < len(segments) else None


def begun_within(segments: Sequence[Segment], start_sec: float, end_sec: float) -> Sequence[Segment]:
    """Those that begin after ``start_sec`` and before ``end_sec``."""
    first = bisect_right(segments, start_sec, key=lambda each: each.start_sec)
    last = bisect_left(segments, end_sec, key=lambda each: each.start_sec)
    return segments[first:last]
