"""All blocks of one run of ``bench ticks``, and where they were measured."""

import json
from dataclasses import asdict, dataclass, replace

from benchmarks.model_report import Machine
from benchmarks.ticks.block import Block


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a block was measured to its end."""

    block: str
    holds: bool


@dataclass(frozen=True, slots=True)
class TicksReport:
    """``command``: what was run; ``date`` as in 2025-01-31."""

    machine: Machine
    command: str
    date: str
    blocks: tuple[Block, ...]

    @property
    def caption(self) -> str:
        machine = self.machine
        where = f"{machine.device_name}, {machine.dtype}, torch {machine.torch}, moshi {machine.moshi}"
        return f"`{self.command}`, {self.date}: {where}, Python {machine.python}."

    def with_block(self, block: Block) -> "TicksReport":
        return replace(self, blocks=(*self.blocks, block))

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        return tuple(Verdict(block.name, not block.failed) for block in self.blocks)

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2)

    def to_table(self) -> str:
        return "\n\n".join([self.caption, *(block.to_text() for block in self.blocks)])
