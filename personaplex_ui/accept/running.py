"""The test while it runs: takes what is found, shows it, and keeps the report on disk up to date."""

import logging
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from datetime import datetime

from personaplex_ui.accept.options import Options
from personaplex_ui.accept.progress import Progress
from personaplex_ui.accept.report import PROBLEM, Finding, Report, Step, write_text
from personaplex_ui.errors import PersonaplexError
from personaplex_ui.offline.command import is_interrupt

log = logging.getLogger(__name__)

MOST_LOGGED = 100
REPORT_IT = "If the doctor finds nothing, please report it with this report: personaplex-ui doctor."


def now() -> str:
    """Local time, to the second."""
    return datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")


class Running:
    """Raises ReportNotWritten where the files of ``options`` cannot be written, and does so at once."""

    def __init__(self, report: Report, options: Options, progress: Progress) -> None:
        self.report = report
        self._options = options
        self._progress = progress
        self.save()

    def begin(self, step: Step, doing: str) -> None:
        self._progress.begin(f"{step.letter}. {doing}")

    def tell(self, part: float, words: str = "") -> None:
        self._progress.tell(part, words)

    def add(self, step: Step, finding: Finding) -> None:
        self.report.add(step, finding)
        number = f": {finding.number}" if finding.number else ""
        self._progress.say(f"{step.letter}. {finding.verdict:<8} {finding.name}{number}")
        self.save()

    def add_all(self, step: Step, findings: Iterable[Finding]) -> None:
        for finding in findings:
            self.add(step, finding)

    @contextmanager
    def step(self, step: Step) -> Generator[None]:
        """What fails in it is a problem of ``step``, and the test goes on."""
        try:
            yield
        except Exception as error:  # the other steps must still be run
            if is_interrupt(error):
                raise KeyboardInterrupt from error
            self.add(step, self._failed(step, error))

    @staticmethod
    def _failed(step: Step, error: Exception) -> Finding:
        if isinstance(error, PersonaplexError):
            return Finding(step.title, PROBLEM, "failed", str(error))
        log.error("Step %s failed.", step.letter, exc_info=error)
        sentence = f"This step failed: {type(error).__name__}: {error}"
        return Finding(step.title, PROBLEM, "failed", sentence, REPORT_IT)

    def end(self, interrupted: bool) -> None:
        self.report.interrupted = interrupted
        self.report.ended = now()
        self._progress.say(self.report.summary)
        self.save()
        self._progress.say(f"The report is in {self._options.report}")

    def save(self) -> None:
        write_text(self._options.report, self.report.as_markdown())
        if self._options.json is not None:
            write_text(self._options.json, self.report.as_json())


class LogKeeper(logging.Handler):
    """Keeps warnings for the report."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        if len(self._lines) < MOST_LOGGED:
            error = record.exc_info[1] if record.exc_info else None
            why = f" {type(error).__name__}: {error}" if error else ""
            self._lines.append(f"{record.levelname} {record.name}: {record.getMessage()}{why}")
