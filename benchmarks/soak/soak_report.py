"""The result of a soak: a row for each kind of call, its cost, and three verdicts.

Pure: it lays out what ``findings`` makes of what was observed.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median

from benchmarks.report import aligned, machine
from benchmarks.soak.findings import (
    Drops,
    Lag,
    Latency,
    Memory,
    Verdict,
    answers_of,
    cpu_percent_of,
    drops_of,
    lag_of,
    latency_of,
    memory_of,
    verdict_on_hostility,
    verdicts_on,
)
from benchmarks.soak.observed import Clip, LiveCall, Observed, OwnLoad
from personaplex_ui.calls.snapshot import PacketCounts, Transport
from tests.support.clients.impairment import Impaired, Impairment

ALL = "all"
HEADINGS = (
    "kind",
    "calls",
    "answers",
    "lost",
    "added p50 ms",
    "p95 ms",
    "max ms",
    "longest gap ms",
    "most missing ms",
)


@dataclass(frozen=True, slots=True)
class KindStats:
    """The live calls of one kind. ``latency``: None without an answer. ``longest_gap_ms``: without any sound.
    ``most_missing_ms``: sound that one call never got."""

    kind: str
    calls: int
    lost_answers: int
    latency: Latency | None
    longest_gap_ms: float
    most_missing_ms: float


@dataclass(frozen=True, slots=True)
class ClipStats:
    """``times_real_time``: a clip's length over the time from its upload to its answer, median and least."""

    answered: int
    failures: tuple[str, ...]
    times_real_time: float | None
    least_times_real_time: float | None


@dataclass(frozen=True, slots=True)
class SoakReport:
    """``alone_ms``: what the echo engine takes to answer by itself, which is not in the latencies."""

    seconds: float
    seed: int
    alone_ms: float
    kinds: tuple[KindStats, ...]
    ended: tuple[str, ...]
    clips: ClipStats | None
    lag: Lag
    memory: Memory
    drops: Drops
    cpu_percent: float
    own_load: OwnLoad
    verdicts: tuple[Verdict, ...]
    impairment: Impairment | None = None
    impaired: Impaired | None = None
    packets: PacketCounts | None = None

    def to_json(self) -> str:
        values = asdict(self) | {"machine": machine()}
        values["verdicts"] = {v.question: {"answer": v.answer, "because": v.because} for v in self.verdicts}
        return json.dumps(values, indent=2)

    def to_table(self) -> str:
        lines = [f"{self._title()}, {machine()}", ""]
        lines += aligned([HEADINGS, *map(_row, self.kinds)], left=1)
        lines += [
            "",
            f"Latency is what calls add to the {self.alone_ms:.0f} ms that the echo engine takes by itself.",
        ]
        if self.clips is not None:
            lines.append(_clip_line(self.clips))
        own = self.own_load
        lines += self._network_lines()
        lines += [
            f"server: {self.cpu_percent:.0f} % of a core",
            f"callers, all one process: {own.cpu_percent:.0f} % of a core, late by "
            f"{own.late_p95_ms:.1f} ms (p95) and {own.late_max_ms:.1f} ms (max), which is in the latencies",
            "",
            *[f"{verdict.question}: {verdict.answer} ({verdict.because})" for verdict in self.verdicts],
            *[f"  {sentence}" for sentence in self.ended],
        ]
        return "\n".join(lines)

    def _network_lines(self) -> list[str]:
        asked, done, packets = self.impairment, self.impaired, self.packets
        if asked is None or done is None or packets is None:
            return []
        return [
            f"browsers' network: {100 * asked.loss:g} % loss, {1_000 * asked.jitter_sec:g} ms jitter, "
            f"bursts of {asked.burst} packets",
            f"it lost {done.lost:,} of {done.packets:,} packets to the server ({done.bursts} bursts, at most "
            f"{done.longest_loss} in a row), and delayed the others by {1_000 * done.mean_delay_sec:.1f} ms "
            f"(at most {1_000 * done.most_delay_sec:.1f} ms)",
            f"the server missed {packets.lost:,}, of which {packets.late:,} came late, and concealed "
            f"{packets.concealed:,}",
        ]

    def _title(self) -> str:
        calls = sum(stats.calls for stats in self.kinds if stats.kind != ALL)
        clips = ", one clip after the other" if self.clips is not None else ""
        return f"echo engine, {self.seconds:g} s, live calls: {calls}{clips}"


def report_on(observed: Observed) -> SoakReport:
    lag, memory, drops = lag_of(observed), memory_of(observed), drops_of(observed)
    verdicts: tuple[Verdict, ...] = verdicts_on(drops, lag, memory, observed.seconds)
    if observed.hostile is not None:
        verdicts += (verdict_on_hostility(observed, drops),)
    return SoakReport(
        seconds=observed.seconds,
        seed=observed.seed,
        alone_ms=1_000 * observed.alone_sec,
        kinds=_kinds_of(observed.calls),
        ended=tuple(f"{call.kind} call: {call.ended}" for call in observed.calls if call.ended),
        clips=_clips_of(observed.clips, observed.clip_failures) if observed.clip_callers else None,
        lag=lag,
        memory=memory,
        drops=drops,
        cpu_percent=cpu_percent_of(observed),
        own_load=observed.own_load,
        verdicts=verdicts,
        impairment=observed.impairment,
        impaired=observed.impaired,
        packets=_packets_of(observed),
    )


def _packets_of(observed: Observed) -> PacketCounts:
    """In the time of the soak."""
    first, last = observed.usages[0].packets, observed.usages[-1].packets
    return PacketCounts(last.lost - first.lost, last.late - first.late, last.concealed - first.concealed)


def _kinds_of(calls: Sequence[LiveCall]) -> tuple[KindStats, ...]:
    """One for each kind there is, then one for all together."""
    by_kind = [[call for call in calls if call.kind is kind] for kind in Transport]
    named = [(str(group[0].kind), group) for group in by_kind if group]
    return tuple(_stats_of(kind, group) for kind, group in [*named, (ALL, list(calls))])


def _stats_of(kind: str, calls: Sequence[LiveCall]) -> KindStats:
    return KindStats(
        kind,
        len(calls),
        sum(call.lost_answers for call in calls),
        latency_of(answers_of(calls)),
        1_000 * max((call.longest_gap_sec for call in calls), default=0.0),
        1_000 * max((call.missing_sec for call in calls), default=0.0),
    )


def _clips_of(clips: Sequence[Clip], failures: Sequence[str]) -> ClipStats:
    factors = [clip.clip_sec / clip.took_sec for clip in clips]
    return ClipStats(
        len(clips),
        tuple(failures),
        median(factors) if factors else None,
        min(factors) if factors else None,
    )


def _row(stats: KindStats) -> list[str]:
    latency = stats.latency
    return [
        stats.kind,
        str(stats.calls),
        str(latency.answers if latency else 0),
        str(stats.lost_answers),
        *([f"{v:.1f}" for v in (latency.p50_ms, latency.p95_ms, latency.max_ms)] if latency else ["-"] * 3),
        f"{stats.longest_gap_ms:.0f}",
        f"{stats.most_missing_ms:.0f}",
    ]


def _clip_line(clips: ClipStats) -> str:
    line = f"clips: {clips.answered} answered, {len(clips.failures)} failed"
    if clips.times_real_time is not None:
        line += f", {clips.times_real_time:.1f} times real time (least {clips.least_times_real_time:.1f})"
    return line + (f"; the first failure: {clips.failures[0]}" if clips.failures else "")
