"""How far models with rounded weights are from the one without, as a table and as JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from benchmarks.report import aligned, machine
from personaplex_ui.accept.agreement import HEADING, Agreement


@dataclass(frozen=True, slots=True)
class FidelityReport:
    """``kinds``: by what was rounded, each compared with float32."""

    model: str
    parameters: int
    positions: int
    seed: int
    kinds: Mapping[str, Agreement]

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2)

    def to_table(self) -> str:
        rows = [["beside float32", *HEADING], *([kind, *found.row] for kind, found in self.kinds.items())]
        return "\n".join(
            [
                f"{self.model}: {self.parameters / 1e6:,.1f}e6 parameters, {self.positions} positions of "
                "random "
                f"tokens, seed {self.seed}; {machine()}",
                "cosines, then the share of positions (and codebooks) with the same likeliest token",
                "",
                *aligned(rows, left=1),
            ]
        )
