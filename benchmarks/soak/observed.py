"""The observations of a soak, as plain values, before evaluation. Times are seconds since its start."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from personaplex_ui.calls.snapshot import CallStats, PacketCounts, Transport
from tests.support.clients.impairment import Impaired, Impairment


@dataclass(frozen=True, slots=True)
class Answer:
    """``added_sec``: what it took longer than the echo engine takes by itself."""

    at_sec: float
    added_sec: float


@dataclass(frozen=True, slots=True)
class LiveCall:
    """One call for the whole soak. ``ended``: why it was over before the soak was, else empty.

    ``longest_gap_sec``: without anything arriving. ``missing_sec``: how much less sound came than real time.
    ``stats``: what the server told of the call, oldest first, if it told any.
    """

    kind: Transport
    answers: Sequence[Answer]
    lost_answers: int
    longest_gap_sec: float
    missing_sec: float
    stats: Sequence[CallStats] = ()
    ended: str = ""


@dataclass(frozen=True, slots=True)
class Clip:
    """An answered clip of ``clip_sec``, from its upload until its answer was there."""

    at_sec: float
    took_sec: float
    clip_sec: float


@dataclass(frozen=True, slots=True)
class Usage:
    """The server's process at one moment, its CPU time and dropped frames since it was started.

    ``dropped_frames``: None where it does not tell. ``packets``: callers' that were lost, late or concealed.
    """

    at_sec: float
    resident_bytes: int
    cpu_sec: float
    dropped_frames: int | None
    packets: PacketCounts = field(default_factory=PacketCounts)


@dataclass(frozen=True, slots=True)
class OwnLoad:
    """The process that made the calls. ``late_*``: how much later than due its event loop did things."""

    cpu_percent: float
    late_p95_ms: float
    late_max_ms: float


@dataclass(frozen=True, slots=True)
class Hostile:
    """``tries``: of hostile clients, by kind. ``health_*``: requests for ``/health`` beside them."""

    tries: Mapping[str, int]
    health_asked: int
    health_failed: int
    health_slowest_sec: float


@dataclass(frozen=True, slots=True)
class Observed:
    """``alone_sec``: what the echo engine takes to answer by itself. ``exceptions``: in the server's log.
    ``impaired``: what was done to browsers' sound on the way to the server."""

    seconds: float
    seed: int
    alone_sec: float
    calls: Sequence[LiveCall]
    clip_callers: int
    clips: Sequence[Clip]
    clip_failures: Sequence[str]
    usages: Sequence[Usage]
    exceptions: int
    own_load: OwnLoad
    impairment: Impairment | None = None
    impaired: Impaired | None = None
    hostile: Hostile | None = None


def slope(at_sec: Sequence[float], values: Sequence[float]) -> float:
    """How much ``values`` grow per second, by least squares; 0 for fewer than two points."""
    times = np.asarray(at_sec, dtype=np.float64)
    if len(times) < 2 or float(np.ptp(times)) == 0.0:
        return 0.0
    times = times - times.mean()
    return float(np.dot(times, np.asarray(values) - np.mean(values)) / np.dot(times, times))
