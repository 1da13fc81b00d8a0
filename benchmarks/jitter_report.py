"""What two jitter buffers add to the delay, as a table and as JSON."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.pulses import PulseDelays
from benchmarks.report import aligned, machine
from tests.support.clients.impairment import Impaired, Impairment

HEADINGS = ("buffer", "pulses", "heard", "first ms", "p50 ms", "p95 ms", "max ms", "last ms", "lost packets")
WINDOW_SEC = 3.0
"""At the beginning and at the end."""


@dataclass(frozen=True, slots=True)
class BufferStats:
    """``impaired``: what the network did to it."""

    name: str
    delays: PulseDelays
    impaired: Impaired

    @property
    def p50_ms(self) -> float:
        return self._percentile_ms(50)

    def values(self, seconds: float) -> dict[str, Any]:
        return {
            "buffer": self.name,
            "pulses": self.delays.said,
            "heard": len(self.delays.delays_sec),
            "first_ms": 1_000 * self.delays.median_sec(0.0, WINDOW_SEC),
            "p50_ms": self.p50_ms,
            "p95_ms": self._percentile_ms(95),
            "max_ms": self._percentile_ms(100),
            "last_ms": 1_000 * self.delays.median_sec(seconds - 1.0 - WINDOW_SEC, seconds),
            "lost_packets": self.impaired.lost,
        }

    def _percentile_ms(self, part: float) -> float:
        delays = [delay for _, delay in self.delays.delays_sec]
        return 1_000 * float(np.percentile(delays, part)) if delays else float("nan")


@dataclass(frozen=True, slots=True)
class JitterReport:
    """``late_ms``: how late the measuring process was itself, in 95 of 100 cases."""

    seconds: float
    seed: int
    impairment: Impairment
    theirs: BufferStats
    ours: BufferStats
    late_ms: float

    @property
    def won_ms(self) -> float:
        """By how much ours is faster, as the median."""
        return self.theirs.p50_ms - self.ours.p50_ms

    def to_json(self) -> str:
        rows = [stats.values(self.seconds) for stats in (self.theirs, self.ours)]
        network = {"loss": self.impairment.loss, "jitter_ms": 1_000 * self.impairment.jitter_sec}
        network |= {"burst": self.impairment.burst, "seed": self.seed}
        return json.dumps(
            {
                "seconds": self.seconds,
                "network": network,
                "buffers": rows,
                "won_ms": self.won_ms,
                "late_ms": self.late_ms,
            },
            indent=2,
        )

    def to_table(self) -> str:
        rows = [[_shown(v) for v in f.values(self.seconds).values()] for f in (self.theirs, self.ours)]
        asked = self.impairment
        return "\n".join(
            [
                f"{100 * asked.loss:g} % loss, {1_000 * asked.jitter_sec:g} ms jitter, "
                f"bursts of {asked.burst} packets, seed {self.seed}, {self.seconds:g} s, {machine()}",
                "",
                *aligned([HEADINGS, *rows], left=1),
                "",
                "From a packet that is complete to its sound out of the receiver: encoding, encrypting, the",
                f"network and the buffer. Ours is faster by {self.won_ms:.1f} ms.",
                f"All in one process, which was late by {self.late_ms:.1f} ms itself (p95).",
            ]
        )


def _shown(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)
