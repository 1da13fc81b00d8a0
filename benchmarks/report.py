"""The result of every measurement: a table for people and JSON for programs."""

import os
import platform
from collections.abc import Sequence
from typing import Protocol


class Report(Protocol):
    """What one sub-command measured."""

    def to_json(self) -> str: ...

    def to_table(self) -> str: ...


def aligned(rows: Sequence[Sequence[str]], left: int = 0) -> list[str]:
    """``rows`` as lines; the first ``left`` columns are left-aligned, the others right-aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines: list[str] = []
    for row in rows:
        cells = [
            cell.ljust(width) if number < left else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells))
    return lines


def machine() -> str:
    return f"{os.cpu_count()} cores, Python {platform.python_version()}"
