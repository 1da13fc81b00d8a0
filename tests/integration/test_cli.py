"""The command line: which command runs, what it adds to the environment, and how a start that fails ends."""

import os
import socket
import subprocess
import sys
from collections.abc import MutableMapping, Sequence
from pathlib import Path

import pytest

from personaplex_ui import __version__, cli
from personaplex_ui.app import server
from personaplex_ui.config import environment
from personaplex_ui.config.settings import Settings
from tests.support.app_process import refusal_at_start

APP = Path(__file__).parents[2] / "app.py"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """What the app was served with, once ``serve`` has returned."""
    given: list[Settings] = []

    def serve(settings: Settings, notes: Sequence[str]) -> None:
        assert list(notes) == ["a note"]
        given.append(settings)

    def prepare_environment(variables: MutableMapping[str, str]) -> list[str]:
        return ["a note"]

    monkeypatch.setattr(server, "serve", serve)
    monkeypatch.setattr(environment, "prepare_environment", prepare_environment)
    monkeypatch.delenv("FASTRTC_PHONE", raising=False)
    monkeypatch.setenv("PORT", "7999")
    return given


@pytest.mark.parametrize(
    ("variable", "arguments", "phone"),
    [(None, [], False), ("0", ["--phone"], True), ("1", [], True)],
)
def test_serve_reads_the_environment_and_what_the_command_line_adds(
    served: list[Settings],
    monkeypatch: pytest.MonkeyPatch,
    variable: str | None,
    arguments: list[str],
    phone: bool,
) -> None:
    if variable is not None:
        monkeypatch.setenv("FASTRTC_PHONE", variable)
    assert cli.main(["serve", *arguments]) == 0
    (settings,) = served
    assert (settings.port, settings.fastrtc_phone) == (7999, phone)


@pytest.mark.parametrize("arguments", [[], ["sreve"], ["--serve"], ["serve", "--telephone"]])
def test_what_is_no_command_or_option_is_refused(
    served: list[Settings], capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(arguments)
    assert "usage: personaplex-ui" in capsys.readouterr().err
    assert served == []


def test_version_and_help_load_no_library() -> None:
    code = (
        "import sys\n"
        "from personaplex_ui.cli import main\n"
        "try: main([sys.argv[1]])\n"
        "except SystemExit as ended: assert not ended.code\n"
        "print(sorted({'httpx', 'numpy', 'pydantic', 'gradio', 'torch'} & set(sys.modules)))"
    )
    for option, said in (
        ("--version", f"personaplex-ui {__version__}\n"),
        ("--help", "usage: personaplex-ui "),
    ):
        done = subprocess.run(
            [sys.executable, "-c", code, option], cwd=APP.parent, capture_output=True, text=True
        )
        assert done.stdout.startswith(said)
        assert done.stdout.endswith("[]\n"), done.stderr


def test_a_port_in_use_ends_the_start_with_a_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refusal_at_start(tmp_path, PORT=str(port))
    assert said.endswith(f"Port {port} is in use; stop what uses it, or set PORT to another.\n")
    assert "http://localhost" not in said


def test_a_folder_that_cannot_be_written_ends_the_start_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = refusal_at_start(tmp_path, RECORDINGS_DIR=str(tmp_path / "file" / "in"))
    assert said.startswith("RECORDINGS_DIR is ")
    assert said.count("\n") == 1


def test_the_doctor_tells_settings_that_cannot_be_used(tmp_path: Path) -> None:
    variables = {**os.environ, "ENV_FILE": os.devnull, "PORT": "here", "API_KEY": "a-secret"}
    command = [sys.executable, "-m", "personaplex_ui", "doctor", "--offline"]
    ended = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=50, check=False)
    assert ended.returncode == 2
    assert "PORT is 'here'" in ended.stdout
    assert "a-secret" not in ended.stdout
    assert ended.stderr == ""
