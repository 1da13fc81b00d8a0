"""Evaluates a soak: latencies, lag, memory, and the three verdicts.

Pure. A verdict says yes, no, or that the run was too short to say, with the numbers behind it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median_high

import numpy as np

from benchmarks.soak.observed import Answer, LiveCall, Observed, slope
from personaplex_ui.calls.snapshot import CallStats

MISSING_SEC = 0.16
"""Sound of a call that may be in transit, or late, when the soak ends: two frames."""

WINDOW_SEC = 60.0
LATENCY_GROWTH_MS = 20.0
"""Of the median, from the first minute to the last: one packet. Half of it is what chance can do."""

FEWEST_ANSWERS = 20
"""In a window: of fewer the median says little."""

LAG_FRAMES = 1
TOLD_TOGETHER = 5
AHEAD_SEC = 0.16
"""How much sound may have been sent ahead of real time. More would wait in a player."""

MEMORY_GROWTH_MB = 5.0
"""In the second half. In five minutes eight calls keep 2 MB of levels and transcripts on purpose."""

SHORTEST_FOR_MEMORY_SEC = 240.0
"""Before that a server is still growing to its size."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """``holds``: None when the run was too short to say."""

    question: str
    holds: bool | None
    because: str

    @property
    def answer(self) -> str:
        return "too short to say" if self.holds is None else "yes" if self.holds else "no"


@dataclass(frozen=True, slots=True)
class Latency:
    """Of some answers, beyond what the echo engine takes by itself."""

    answers: int
    p50_ms: float
    p95_ms: float
    max_ms: float


@dataclass(frozen=True, slots=True)
class Lag:
    """``first``, ``last``: latency in the first and the last window of ``window_sec``. ``*_frames``: frames
    that waited in the server then, the most of any call that is told. ``most_ahead_sec``: how far ahead of
    real time a call's sound was."""

    window_sec: float
    first: Latency | None
    last: Latency | None
    first_frames: int | None
    last_frames: int | None
    most_ahead_sec: float


@dataclass(frozen=True, slots=True)
class Memory:
    """Of the server's process. ``early_mb``: after a minute, or a third of a shorter run."""

    early_mb: float
    middle_mb: float
    end_mb: float
    growth_mb_per_hour: float
    second_half_growth_mb: float


@dataclass(frozen=True, slots=True)
class Drops:
    calls_ended: int
    lost_answers: int
    dropped_frames: int
    clips_failed: int
    calls_with_missing_sound: int
    exceptions: int

    @property
    def none(self) -> bool:
        return self == Drops(0, 0, 0, 0, 0, 0)


def latency_of(answers: Sequence[Answer]) -> Latency | None:
    """None without answers."""
    if not answers:
        return None
    added_ms = 1_000 * np.array([answer.added_sec for answer in answers])
    p50, p95, most = (float(np.percentile(added_ms, part)) for part in (50, 95, 100))
    return Latency(len(answers), p50, p95, most)


def answers_of(calls: Sequence[LiveCall]) -> list[Answer]:
    return [answer for call in calls for answer in call.answers]


def lag_of(observed: Observed) -> Lag:
    window_sec = min(WINDOW_SEC, observed.seconds / 3)
    answers = answers_of(observed.calls)
    told = [call.stats for call in observed.calls if call.stats]
    return Lag(
        window_sec,
        latency_of([answer for answer in answers if answer.at_sec <= window_sec]),
        latency_of([answer for answer in answers if answer.at_sec > observed.seconds - window_sec]),
        max((_waiting(stats[:TOLD_TOGETHER]) for stats in told), default=None),
        max((_waiting(stats[-TOLD_TOGETHER:]) for stats in told), default=None),
        max((-call.missing_sec for call in observed.calls), default=0.0),
    )


def _waiting(stats: Sequence[CallStats]) -> int:
    """Frames that usually waited: at one moment there may be one more."""
    return median_high(told.lag_frames for told in stats)


def memory_of(observed: Observed) -> Memory:
    """Raises ValueError when nothing was measured."""
    usages = observed.usages

    def near(at_sec: float) -> float:
        nearest = min(usages, key=lambda usage: abs(usage.at_sec - at_sec))
        return nearest.resident_bytes / 2**20

    half_sec = observed.seconds / 2
    late = [usage for usage in usages if usage.at_sec >= half_sec]
    growth = slope([usage.at_sec for usage in late], [usage.resident_bytes / 2**20 for usage in late])
    early_sec = min(60.0, observed.seconds / 3)
    return Memory(near(early_sec), near(half_sec), near(observed.seconds), growth * 3_600, growth * half_sec)


def cpu_percent_of(observed: Observed) -> float:
    """Of one core, the server's process."""
    first, last = observed.usages[0], observed.usages[-1]
    return 100 * (last.cpu_sec - first.cpu_sec) / max(last.at_sec - first.at_sec, 1e-3)


def drops_of(observed: Observed) -> Drops:
    return Drops(
        calls_ended=sum(bool(call.ended) for call in observed.calls),
        lost_answers=sum(call.lost_answers for call in observed.calls),
        dropped_frames=_dropped_frames(observed),
        clips_failed=len(observed.clip_failures),
        calls_with_missing_sound=sum(call.missing_sec > MISSING_SEC for call in observed.calls),
        exceptions=observed.exceptions,
    )


def _dropped_frames(observed: Observed) -> int:
    """As the server counts them for all calls, or, where it does not, for those whose client is told."""
    first, last = observed.usages[0].dropped_frames, observed.usages[-1].dropped_frames
    if first is not None and last is not None:
        return last - first
    told = [call.stats for call in observed.calls if call.stats]
    return sum(
        f[-1].dropped_heard + f[-1].dropped_said - f[0].dropped_heard - f[0].dropped_said for f in told
    )


def verdicts_on(drops: Drops, lag: Lag, memory: Memory, seconds: float) -> tuple[Verdict, Verdict, Verdict]:
    return _on_drops(drops), _on_lag(lag), _on_memory(memory, seconds)


KEPT_MB = 100.0
"""What the server may keep after hostile clients have gone."""


def verdict_on_hostility(observed: Observed, drops: Drops) -> Verdict:
    """Whether calls, memory and ``/health`` stood what hostile clients did.

    Raises:
        ValueError: there were none.
    """
    hostile = observed.hostile
    if hostile is None:
        raise ValueError("nobody was hostile")
    kept_mb = (observed.usages[-1].resident_bytes - observed.usages[0].resident_bytes) / 2**20
    holds = (
        drops.calls_ended == 0
        and drops.dropped_frames == 0
        and kept_mb <= KEPT_MB
        and hostile.health_failed == 0
        and all(hostile.tries.values())
        and bool(hostile.tries)
    )
    slowest_ms = 1_000 * hostile.health_slowest_sec
    because = (
        f"{sum(hostile.tries.values()):,} tries; {drops.calls_ended} calls ended early, "
        f"{drops.dropped_frames} frames dropped, {kept_mb:+.1f} MB kept, /health "
        f"failed {hostile.health_failed} of {hostile.health_asked} times, slowest {slowest_ms:.0f} ms"
    )
    return Verdict("stands hostile clients", holds, because)


def _on_drops(drops: Drops) -> Verdict:
    because = (
        f"{drops.calls_ended} calls ended early, {drops.lost_answers} answers lost, "
        f"{drops.dropped_frames} frames dropped, {drops.calls_with_missing_sound} calls missed sound, "
        f"{drops.clips_failed} clips failed, {drops.exceptions} exceptions in the log"
    )
    return Verdict("no drop", drops.none, because)


def _on_lag(lag: Lag) -> Verdict:
    grew = lag.most_ahead_sec > AHEAD_SEC
    details = f"at most {1_000 * lag.most_ahead_sec:.0f} ms sent ahead of time"
    if lag.first_frames is not None and lag.last_frames is not None:
        grew |= lag.last_frames - lag.first_frames > LAG_FRAMES
        details = f"frames waiting {lag.first_frames} then {lag.last_frames}; {details}"
    enough = False
    if lag.first is not None and lag.last is not None:
        enough = min(lag.first.answers, lag.last.answers) >= FEWEST_ANSWERS
        grew |= enough and lag.last.p50_ms - lag.first.p50_ms > LATENCY_GROWTH_MS
        details = (
            f"added p50 {lag.first.p50_ms:.1f} ms and p95 {lag.first.p95_ms:.1f} ms in the first "
            f"{lag.window_sec:.0f} s, {lag.last.p50_ms:.1f} and {lag.last.p95_ms:.1f} ms in the last; "
            f"{details}"
        )
    return Verdict("no growth in lag", False if grew else True if enough else None, details)


def _on_memory(memory: Memory, seconds: float) -> Verdict:
    holds = memory.second_half_growth_mb <= MEMORY_GROWTH_MB
    because = (
        f"{memory.early_mb:.1f} MB early, {memory.middle_mb:.1f} in the middle, {memory.end_mb:.1f} at the "
        f"end; {memory.growth_mb_per_hour:+.1f} MB an hour in the second half"
    )
    return Verdict("no growth in memory", holds if seconds >= SHORTEST_FOR_MEMORY_SEC else None, because)
