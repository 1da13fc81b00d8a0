"""The report: what counts as accepted, what is not known, and that no half of it is ever on disk."""

import json
from pathlib import Path

import pytest

from personaplex_ui.accept.report import (
    NOT_RUN,
    OK,
    PROBLEM,
    WARNING,
    Finding,
    Report,
    ReportNotWritten,
    Step,
    Verdict,
    write_text,
)

FIRST, SECOND = Step("a", "First", "What it does."), Step("b", "Second", "What that does.")


def report(*verdicts: Verdict, ended: str = "later") -> Report:
    made = Report((FIRST, SECOND), "now", {"ENGINE": "auto"}, ended=ended)
    for number, verdict in enumerate(verdicts):
        made.add(FIRST, Finding(f"check {number}", verdict, "3 ms", "It took 3 ms."))
    return made


@pytest.mark.parametrize(
    ("verdicts", "accepted"),
    [((OK,), True), ((OK, WARNING), True), ((OK, NOT_RUN), True), ((OK, PROBLEM), False)],
)
def test_a_problem_alone_is_in_the_way(verdicts: tuple[Verdict, ...], accepted: bool):
    assert report(*verdicts).accepted is accepted


def test_what_was_interrupted_or_still_runs_is_not_accepted():
    assert not report(OK, ended="").accepted
    assert report(OK, ended="").summary.startswith("Still running: ")
    stopped = report(OK)
    stopped.interrupted = True
    assert not stopped.accepted
    assert stopped.summary == "Interrupted: 0 problems, 0 warnings, 1 ok, 1 not run."
    assert "The test was interrupted before it." in stopped.as_markdown()


def test_a_step_without_findings_is_told_as_not_run():
    made = report(OK, PROBLEM, WARNING, WARNING)
    assert made.summary == "Not accepted: 1 problem, 2 warnings, 1 ok, 1 not run."
    [second] = json.loads(made.as_json())["steps"][1]["findings"]
    assert (second["name"], second["verdict"]) == ("Second", "not run")


def test_both_forms_hold_everything():
    made = report(OK)
    made.logged.append("WARNING x: y")
    made.add(
        SECOND,
        Finding(
            "times",
            PROBLEM,
            "90 ms | p99",
            "Too slow.",
            "Buy a faster one.",
            (("n", "ms"), ("1", "90")),
            {"ms": 90},
        ),
    )
    text = made.as_markdown()
    for part in (
        "| b | times | 90 ms \\| p99 | problem |",
        "- **times: problem** (90 ms | p99). Too slow.",
        "Next step: Buy a faster one.",
        "| n | ms |\n|---|---|\n| 1 | 90 |",
        "| ENGINE | auto |",
        "- WARNING x: y",
    ):
        assert part in text
    whole = json.loads(made.as_json())
    assert whole["steps"][1]["findings"][0]["data"] == {"ms": 90}
    assert (whole["accepted"], whole["settings"], whole["log"]) == (
        False,
        {"ENGINE": "auto"},
        ["WARNING x: y"],
    )


def test_a_file_is_replaced_whole_and_a_folder_that_is_not_there_is_told(tmp_path: Path):
    path = tmp_path / "report.md"
    write_text(path, "one")
    write_text(path, "two")
    assert path.read_text() == "two"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(ReportNotWritten, match=r"No such file or directory. Name another file with --report"):
        write_text(tmp_path / "none" / "report.md", "three")
