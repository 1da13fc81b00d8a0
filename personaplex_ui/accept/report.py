"""What the acceptance test found: a verdict, a number and a next step each; as Markdown and as JSON.

Depends on words only, not on what is measured or how. No secrets are passed in.
"""

import enum
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from personaplex_ui import __version__
from personaplex_ui.errors import PersonaplexError


class ReportNotWritten(PersonaplexError, code="report_not_written"):
    """The report's file cannot be written."""


class Verdict(enum.StrEnum):
    """``problem``: do not go live like this. ``not run``: nothing is known."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    NOT_RUN = "not run"


OK, WARNING, PROBLEM, NOT_RUN = Verdict

Table = tuple[tuple[str, ...], ...]
"""Rows of cells; the first row is the heading."""


@dataclass(frozen=True, slots=True)
class Finding:
    """``number``: what was measured, in a few words. ``sentence``: what it means. ``next_step``: what to do
    about it, empty if nothing. ``data``: the measurements for programs."""

    name: str
    verdict: Verdict
    number: str
    sentence: str
    next_step: str = ""
    table: Table = ()
    data: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the test, by its letter. ``explanation``: what it does and what its limits mean."""

    letter: str
    title: str
    explanation: str


@dataclass(slots=True)
class Report:
    """Grows while the test runs. ``begun``, ``ended``: local times as text. ``interrupted``: by Ctrl-C.
    ``logged``: what the app warned about meanwhile."""

    steps: Sequence[Step]
    begun: str
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    found: dict[str, list[Finding]] = field(default_factory=dict[str, list[Finding]])
    ended: str = ""
    interrupted: bool = False
    logged: list[str] = field(default_factory=list[str])

    def add(self, step: Step, finding: Finding) -> None:
        self.found.setdefault(step.letter, []).append(finding)

    def findings(self, step: Step) -> list[Finding]:
        """Those of ``step``, or that it has not been run."""
        why = "The test was interrupted before it." if self.interrupted else "It has not been run."
        return self.found.get(step.letter) or [Finding(step.title, NOT_RUN, "", why)]

    def count(self, verdict: Verdict) -> int:
        return sum(finding.verdict is verdict for step in self.steps for finding in self.findings(step))

    @property
    def accepted(self) -> bool:
        """Nothing is a problem, and the test came to its end."""
        return bool(self.ended) and not self.interrupted and not self.count(PROBLEM)

    @property
    def summary(self) -> str:
        """``Not accepted: 1 problem, 2 warnings, 9 ok, 1 not run.``"""
        problems, warnings = self.count(PROBLEM), self.count(WARNING)
        head = "Accepted" if self.accepted else "Interrupted" if self.interrupted else "Not accepted"
        return (
            f"{head if self.ended or self.interrupted else 'Still running'}: "
            f"{problems} problem{'' if problems == 1 else 's'}, "
            f"{warnings} warning{'' if warnings == 1 else 's'}, {self.count(OK)} ok, "
            f"{self.count(NOT_RUN)} not run."
        )

    # As text ---------------------------------------------------------------------------------------

    def as_json(self) -> str:
        steps = [
            {"step": step.letter, "title": step.title, "findings": [asdict(f) for f in self.findings(step)]}
            for step in self.steps
        ]
        whole = {
            "version": __version__,
            "begun": self.begun,
            "ended": self.ended,
            "interrupted": self.interrupted,
            "accepted": self.accepted,
            "summary": self.summary,
            "settings": dict(self.settings),
            "steps": steps,
            "log": self.logged,
        }
        return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"

    def as_markdown(self) -> str:
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        yield from ("# Acceptance report", "", f"**{self.summary}**", "")
        yield f"personaplex-ui {__version__}, {self.begun} to {self.ended or 'an early end'}"
        yield ""
        yield from _table_lines(
            [
                ("", "", "number", "verdict"),
                *(
                    (step.letter, finding.name, finding.number, finding.verdict)
                    for step in self.steps
                    for finding in self.findings(step)
                ),
            ]
        )
        for step in self.steps:
            yield from ("", f"## {step.letter}. {step.title}", "", step.explanation)
            for finding in self.findings(step):
                yield from self._finding_lines(finding)
        yield from ("", "## Settings", "")
        yield from _table_lines([("setting", "value"), *self.settings.items()])
        if self.logged:
            yield from ("", "## What the log warned about", "", *(f"- {line}" for line in self.logged))

    @staticmethod
    def _finding_lines(finding: Finding) -> Iterator[str]:
        number = f" ({finding.number})" if finding.number else ""
        yield from ("", f"- **{finding.name}: {finding.verdict}**{number}. {finding.sentence}")
        if finding.next_step:
            yield f"  Next step: {finding.next_step}"
        if finding.table:
            yield ""
            yield from _table_lines(finding.table)


def _table_lines(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for number, row in enumerate(rows):
        yield f"| {' | '.join(_cell(cell) for cell in row)} |"
        if number == 0:
            yield f"|{'---|' * len(row)}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def write_text(path: Path, text: str) -> None:
    """Replace ``path`` at once, so that a reader or a crash never finds half of it.

    Raises:
        ReportNotWritten: with the reason.
    """
    beside = path.with_name(f".{path.name}.new")
    try:
        beside.write_text(text, encoding="utf-8")
        os.replace(beside, path)
    except OSError as error:
        raise ReportNotWritten(
            f"The report cannot be written to {path}: {error.strerror or error}. Name another file with "
            "--report or --json, in a folder that this user may write to."
        ) from error
