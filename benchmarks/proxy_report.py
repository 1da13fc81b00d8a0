"""What ``bench proxy`` prints: each measurement by itself and through the proxy, and the difference."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from benchmarks.report import aligned, machine


@dataclass(frozen=True, slots=True)
class Pair:
    """Seconds, taken in turn: ``direct[i]`` and ``proxied[i]`` were measured one after the other."""

    what: str
    direct: Sequence[float]
    proxied: Sequence[float]

    def figures(self) -> dict[str, Any]:
        """Milliseconds. ``added``: of each pair, then its median and its quartiles."""
        added = 1_000 * (np.asarray(self.proxied) - np.asarray(self.direct))
        low, high = np.percentile(added, [25, 75])
        return {
            "what": self.what,
            "pairs": len(self.direct),
            "direct_p50_ms": round(1_000 * median(self.direct), 2),
            "proxied_p50_ms": round(1_000 * median(self.proxied), 2),
            "added_p50_ms": round(float(np.median(added)), 2),
            "added_from_ms": round(float(low), 2),
            "added_to_ms": round(float(high), 2),
        }


@dataclass(frozen=True, slots=True)
class ProxyReport:
    """``version``: HAProxy's."""

    version: str
    pairs: tuple[Pair, ...]

    def to_json(self) -> str:
        figures = [pair.figures() for pair in self.pairs]
        return json.dumps({"machine": machine(), "haproxy": self.version, "measured": figures}, indent=2)

    def to_table(self) -> str:
        rows = [["", "pairs", "direct p50", "through HAProxy p50", "added p50", "half of the pairs"]]
        for pair in self.pairs:
            told = pair.figures()
            rows.append(
                [
                    told["what"],
                    str(told["pairs"]),
                    f"{told['direct_p50_ms']:.2f} ms",
                    f"{told['proxied_p50_ms']:.2f} ms",
                    f"{told['added_p50_ms']:+.2f} ms",
                    f"{told['added_from_ms']:+.2f} to {told['added_to_ms']:+.2f} ms",
                ]
            )
        return "\n".join([f"HAProxy {self.version}, {machine()}", "", *aligned(rows, left=1)])
