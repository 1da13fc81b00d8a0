"""What one block of ``bench ticks`` found: a table, as text for the terminal and as Markdown for the page."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.report import aligned

Cell = str | int | float | None
"""None is an empty cell; a float is shown with a digit after the point."""


@dataclass(frozen=True, slots=True)
class Block:
    """``notes``: sentences below the table. ``failed``: an error ended it, which is all it tells."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    failed: bool = False

    def to_text(self) -> str:
        table = aligned([self.columns, *([shown(cell) for cell in row] for row in self.rows)], left=1)
        return "\n".join([f"[{self.name}]", *table, *self.notes])

    def to_markdown(self) -> str:
        aligns = ["---", *["---:"] * (len(self.columns) - 1)]
        table = [self.columns, aligns, *([shown(cell) for cell in row] for row in self.rows)]
        lines = [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in table]
        notes = [f"- {note}" for note in self.notes]
        return "\n".join([*lines, *([""] if notes else []), *notes])


def failed_block(name: str, error: Exception) -> Block:
    return Block(name, ("failed",), ((f"{type(error).__name__}: {error}",),), failed=True)


def shown(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float):
        return f"{cell:,.1f}"
    return f"{cell:,}" if isinstance(cell, int) else cell


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest rank: the smallest value that at least ``share`` of ``values`` do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * round(share * 100) // 100) - 1)]
