"""What the doctor found: checks with a verdict each, and the whole report as text and as JSON.

Depends on words only, not on what is checked or how. No secrets are passed in.
"""

import enum
import json
import re
import textwrap
from collections.abc import Iterator
from dataclasses import asdict, dataclass


class Verdict(enum.StrEnum):
    """``problem``: the app does not start, or a feature that was set up does not work."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    NOT_USED = "not used"


OK, WARNING, PROBLEM, NOT_USED = Verdict


@dataclass(frozen=True, slots=True)
class Check:
    """``sentence``: what was found; ``next_step``: what to do about it, empty if nothing."""

    name: str
    verdict: Verdict
    sentence: str
    next_step: str = ""


def check_of(name: str, verdict: Verdict, words: str) -> Check:
    """A check from an error's ``words``: the first sentence says what is wrong, the rest what to do."""
    sentence, *rest = re.split(r"(?<=[.!?]) +(?=[A-Z])", words.strip(), maxsplit=1)
    return Check(name, verdict, sentence, *rest)


@dataclass(frozen=True, slots=True)
class Report:
    """``version``: of this package."""

    version: str
    checks: tuple[Check, ...]

    def count(self, verdict: Verdict) -> int:
        return sum(check.verdict is verdict for check in self.checks)

    @property
    def summary(self) -> str:
        """``1 problem, 2 warnings, 9 ok.``"""
        problems, warnings = self.count(PROBLEM), self.count(WARNING)
        return (
            f"{problems} problem{'' if problems == 1 else 's'}, "
            f"{warnings} warning{'' if warnings == 1 else 's'}, {self.count(OK)} ok."
        )

    def as_json(self) -> str:
        """One object: ``version``, the numbers of ``problems`` and ``warnings``, and the ``checks``."""
        numbers = {"problems": self.count(PROBLEM), "warnings": self.count(WARNING)}
        checks = [asdict(check) for check in self.checks]
        return json.dumps({"version": self.version, **numbers, "checks": checks}, indent=2)

    def as_text(self, width: int) -> str:
        """For a terminal of ``width`` columns."""
        return "\n".join([f"personaplex-ui {self.version}", "", *self._lines(width), "", self.summary])

    def _lines(self, width: int) -> Iterator[str]:
        column = max(len(check.name) for check in self.checks) + 2
        indent = " " * (10 + column)
        for check in self.checks:
            head = f"{check.verdict:<10}{check.name:<{column}}"
            yield from _wrapped(check.sentence, width, head, indent)
            if check.next_step:
                yield from _wrapped(check.next_step, width, f"{indent}-> ", f"{indent}   ")


def _wrapped(words: str, width: int, head: str, indent: str) -> list[str]:
    # Addresses and paths are not broken, so they can be copied.
    return textwrap.wrap(
        words,
        max(width, len(indent) + 30),
        initial_indent=head,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
