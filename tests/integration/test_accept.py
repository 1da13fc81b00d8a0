"""``personaplex-ui accept`` as its users run it, on the tiny checkpoint and a CPU: whole, interrupted, and
where it cannot begin. How fast this machine is, is no matter of tests."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.parity import DATA, TINY

BASE = {
    "ENGINE": "personaplex",
    "DEVICE": "cpu",
    "HF_REPO": str(TINY),
    "MAX_CALLS": "2",
    "NO_TORCH_COMPILE": "1",
    "HF_TOKEN": "hf_secret",
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
}
STEPS = list("abcdef")


def start(folder: Path, *options: str, **variables: str) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "personaplex_ui",
        "accept",
        "--frames",
        "8",
        "--json",
        "report.json",
        *options,
    ]
    path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, **BASE, "PYTHONPATH": path, **variables}
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    with process:
        try:
            out, err = process.communicate(timeout=220)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert out == ""
    return process.returncode, err


def read(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "report.json").read_text())


def verdicts(report: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    return {
        step["step"]: {finding["name"]: finding["verdict"] for finding in step["findings"]}
        for step in report["steps"]
    }


@pytest.mark.timeout(240)
def test_the_whole_test_on_the_tiny_checkpoint(tmp_path: Path):
    case = tmp_path / "case"
    case.mkdir()
    for path in (DATA / "cases" / "custom_voice_no_prompt").iterdir():
        (case / path.name).symlink_to(path)
    code, err = finish(start(tmp_path, "--soak-minutes", "0.05", "--reference", str(case), QUANTIZE="int8"))
    report = read(tmp_path)
    found = verdicts(report)
    assert list(found) == STEPS
    assert found["a"]["Loading"] == "ok"
    assert found["b"] == {
        "Tokens, beside plain moshi": "ok",
        "Position by position, beside plain moshi": "ok",
        "Recorded case case": "ok",
    }
    assert found["c"] == {"int8 against whole weights": "ok"}
    assert set(found["d"]) == {"A persona", "Frame times"}
    assert set(found["e"]) >= {"Late ticks", "Dropped frames", "Calls", "Personas", "Drift", "Memory growth"}
    assert found["e"]["Calls"] == "ok"
    assert found["f"] == {"Sound of what was said": "ok"}
    assert code == (0 if report["accepted"] else 1)
    problems = [
        finding for step in report["steps"] for finding in step["findings"] if finding["verdict"] == "problem"
    ]
    assert bool(problems) == (code == 1)
    assert all(finding["next_step"] for finding in problems)
    text = (tmp_path / "acceptance.md").read_text()
    assert report["summary"] in text
    assert err.rstrip().endswith(f"{report['summary']}\nThe report is in acceptance.md")
    for told in (text, err, json.dumps(report)):
        assert "hf_secret" not in told


@pytest.mark.timeout(240)
def test_after_ctrl_c_the_report_tells_what_was_seen(tmp_path: Path):
    """What a soak had seen when it was cut short: ``unit/accept/test_soak``."""
    process = start(tmp_path, "--soak-minutes", "5")
    assert process.stderr is not None
    for line in process.stderr:
        if re.search(r"\b[b-f]\. ", line):
            break
    process.send_signal(signal.SIGINT)
    code, _ = finish(process)
    report = read(tmp_path)
    assert code == 130
    assert (report["interrupted"], report["accepted"]) == (True, False)
    assert report["summary"].startswith("Interrupted: ")
    assert verdicts(report)["a"]["Loading"] == "ok"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ["--report", "none/report.md"],
            "The report cannot be written to none/report.md: No such file or directory",
        ),
        (["--json", "/proc/report.json"], "The report cannot be written to /proc/report.json"),
    ],
)
def test_a_report_that_cannot_be_written_is_told_before_anything_is_loaded(
    tmp_path: Path, options: list[str], words: str
):
    code, err = finish(start(tmp_path, *options))
    assert code == 1
    assert words in err
    assert "loading" not in err


def test_a_test_that_cannot_begin_says_so_in_its_report(tmp_path: Path):
    code, err = finish(start(tmp_path, DEFAULT_VOICE_PROMPT="NATF9"))
    assert code == 1
    assert "loading" not in err
    assert "there is no such voice" in (tmp_path / "acceptance.md").read_text()


@pytest.mark.parametrize(
    "options", [["--frames", "7"], ["--soak-minutes", "-1"], ["--frames", "many"], ["--what"]]
)
def test_wrong_options(tmp_path: Path, options: list[str]):
    code, err = finish(start(tmp_path, *options))
    assert code == 2
    assert "usage: personaplex-ui accept" in err
    assert not (tmp_path / "acceptance.md").exists()
