"""Turn latency, gaps and dropped frames of a cascade, and the speed of its parts."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from benchmarks.cascade_parts import Times
from benchmarks.report import aligned, machine


@dataclass(frozen=True, slots=True)
class Turns:
    """One number of callers, all of them asking. ``latency_*``: from the end of a question to the first sound
    of its answer, less the pause that ends a turn. ``longest_gap_ms``: by how much the latest frame of an
    answer came too late; ``dropped_*`` as in ``CallStats``."""

    calls: int
    turns: int
    unanswered: int
    latency_p50_ms: float
    latency_p95_ms: float
    longest_gap_ms: float
    dropped_heard: int
    dropped_said: int


@dataclass(frozen=True, slots=True)
class PartSpeed:
    """``median_ms``: for one utterance or sentence. ``rtf``: its time by the length of the sound, in all; 0
    where there is none."""

    part: str
    runs: int
    median_ms: float
    rtf: float


COLUMNS = {
    "calls": "calls",
    "turns": "turns",
    "unanswered": "unanswered",
    "latency_p50_ms": "latency p50 ms",
    "latency_p95_ms": "p95 ms",
    "longest_gap_ms": "longest gap ms",
    "dropped_heard": "dropped heard",
    "dropped_said": "said",
}


def speed_of(part: str, calls: int, times: Times) -> PartSpeed:
    sound_sec = sum(times.sound_sec)
    median = float(np.median(times.took_sec)) if times.took_sec else 0.0
    rtf = sum(times.took_sec) / sound_sec if sound_sec else 0.0
    return PartSpeed(f"{part}, {calls} calls", len(times.took_sec), 1_000 * median, rtf)


@dataclass(frozen=True, slots=True)
class CascadeReport:
    made_of: str
    seconds: float
    turns: Sequence[Turns]
    parts: Sequence[PartSpeed]

    def to_json(self) -> str:
        return json.dumps(asdict(self) | {"machine": machine()}, indent=2)

    def to_table(self) -> str:
        rows = [list(COLUMNS.values())]
        rows += [[_short(asdict(each)[name]) for name in COLUMNS] for each in self.turns]
        speeds = [["part", "runs", "median ms", "RTF"]]
        speeds += [[p.part, str(p.runs), _short(p.median_ms), f"{p.rtf:.2f}"] for p in self.parts]
        heading = f"cascade engine, {self.seconds:g} s at each number of calls, {machine()}"
        return "\n".join([heading, self.made_of, "", *aligned(rows), "", *aligned(speeds, 1)])


def _short(value: float) -> str:
    return f"{value:,.0f}" if isinstance(value, float) else str(value)
