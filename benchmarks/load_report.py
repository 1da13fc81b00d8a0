"""The latency and cost of calls on an engine."""

import json
from dataclasses import asdict, dataclass

from benchmarks.report import aligned, machine


@dataclass(frozen=True, slots=True)
class Load:
    """One number of calls.

    ``latency_*``: from the moment a frame is complete until its answer is out of the call.
    ``cpu_percent_per_call``: of one core, all threads together. ``memory_mb_per_call``: growth of the
    resident memory since before these calls. ``tick_ms``: mean of the steps with the most calls in them.
    Counters as in ``CallStats``.
    """

    calls: int
    frames: int
    latency_p50_ms: float
    latency_p95_ms: float
    cpu_percent_per_call: float
    memory_mb_per_call: float
    tick_ms: float
    dropped_heard: int
    dropped_said: int
    most_lag_frames: int


COLUMNS = {
    "calls": "calls",
    "latency_p50_ms": "latency p50 ms",
    "latency_p95_ms": "p95 ms",
    "cpu_percent_per_call": "CPU/call %",
    "memory_mb_per_call": "memory/call MB",
    "tick_ms": "tick ms",
    "frames": "frames",
    "dropped_heard": "dropped heard",
    "dropped_said": "said",
    "most_lag_frames": "lag frames",
}


@dataclass(frozen=True, slots=True)
class LoadReport:
    engine: str
    seconds: float
    seed: int
    loads: tuple[Load, ...]

    @property
    def tick_cost_ratio(self) -> float:
        """Cost of a tick with the most calls relative to one with the fewest."""
        return self.loads[-1].tick_ms / self.loads[0].tick_ms

    def to_json(self) -> str:
        values = asdict(self) | {"tick_cost_ratio": self.tick_cost_ratio, "machine": machine()}
        return json.dumps(values, indent=2)

    def to_table(self) -> str:
        rows = [list(COLUMNS.values())]
        for load in self.loads:
            values = asdict(load)
            rows.append([_short(values[name]) for name in COLUMNS])
        first, last = self.loads[0].calls, self.loads[-1].calls
        return "\n".join(
            [
                f"{self.engine} engine, {self.seconds:g} s at each number of calls, {machine()}",
                "",
                *aligned(rows),
                "",
                f"tick cost, {last} calls / {first} call: {self.tick_cost_ratio:.2f}",
            ]
        )


def _short(value: float) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)
