"""The command: its output, its exit codes, and that nothing but settings decides them."""

import json
import os
from pathlib import Path

import pytest

from personaplex_ui.doctor.command import exit_code, main
from personaplex_ui.doctor.report import OK, PROBLEM, WARNING, Check, Report, Verdict


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # What the command adds to it is for its own process.
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.setitem(os.environ, "RECORDINGS_DIR", str(tmp_path / "recordings"))
    (tmp_path / ".env").touch()
    monkeypatch.setitem(os.environ, "ENV_FILE", str(tmp_path / ".env"))
    monkeypatch.setitem(os.environ, "ENGINE", "echo")
    monkeypatch.setitem(os.environ, "PORT", "18765")


def test_a_machine_without_problems(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "HF_HUB_ETAG_TIMEOUT", "soon")
    assert main(["--offline"]) == 0
    told = capsys.readouterr()
    page = " ".join(told.out.split())
    assert "ok Settings The app can start with these settings." in page
    assert "not used GPU ENGINE is echo, which needs no GPU." in page
    assert "warning Environment HF_HUB_ETAG_TIMEOUT is 'soon'" in page
    assert "0 problems" in page
    assert told.err == ""


def test_settings_that_cannot_be_used(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "MAX_CALLS", "many")
    (tmp_path / ".env").write_text("API_KEY=a-secret\nthis is no setting\n")
    assert main(["--json"]) == 2
    told = capsys.readouterr().out
    settings = [check for check in json.loads(told)["checks"] if check["name"] == "Settings"]
    assert [check["verdict"] for check in settings] == ["problem", "problem"]
    assert "Line 2 of" in settings[0]["sentence"]
    assert "MAX_CALLS is 'many'" in settings[1]["sentence"]
    assert all(check["next_step"] for check in settings)
    assert "a-secret" not in told


def test_what_the_start_would_warn_of(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("APP_PASSWORD=short\nMAX_CALSS=a-secret\n")
    monkeypatch.setitem(os.environ, "STATIC_PATH", str(tmp_path / "none"))
    assert main(["--json", "--offline"]) == 0
    told = capsys.readouterr().out
    warnings = [
        (check["name"], check["sentence"], check["next_step"])
        for check in json.loads(told)["checks"]
        if check["verdict"] == "warning" and check["name"] in ("Settings", "Environment")
    ]
    assert [name for name, *_ in warnings] == ["Settings", "Settings", "Environment"]
    assert "APP_PASSWORD is short" in warnings[0][1]
    assert "STATIC_PATH" in warnings[1][2]
    assert warnings[2][2] == "Did you mean MAX_CALLS?"
    assert "a-secret" not in told


def test_a_named_file_of_settings_that_is_missing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "ENV_FILE", str(tmp_path / "none"))
    assert main(["--offline"]) == 2
    assert "which is missing" in " ".join(capsys.readouterr().out.split())


def test_options_that_there_are_not() -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--online"])
    assert ended.value.code == 2


@pytest.mark.parametrize(
    ("name", "verdict", "code"),
    [
        ("Port", OK, 0),
        ("Port", WARNING, 0),
        ("Port", PROBLEM, 1),
        ("Settings", PROBLEM, 2),
    ],
)
def test_the_exit_code(name: str, verdict: Verdict, code: int) -> None:
    report = Report("1", (Check("Python", OK, "It fits."), Check(name, verdict, "So.")))
    assert exit_code(report) == code
