"""The entry point: what its command line adds to the environment."""

import importlib.util
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from personaplex_ui.config.settings import Settings

APP = Path(__file__).parents[2] / "app.py"


@pytest.fixture
def read_variables(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, str]]:
    """What the app reads when it is started with these arguments."""
    spec = importlib.util.spec_from_file_location("app_under_test", APP)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def read(*arguments: str) -> dict[str, str]:
        monkeypatch.setattr(sys, "argv", ["app.py", *arguments])
        return module.read_variables()

    return read


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FASTRTC_PHONE", raising=False)
    monkeypatch.setenv("PORT", "7999")


def test_without_arguments_the_environment_counts(read_variables: Callable[..., dict[str, str]]) -> None:
    variables = read_variables()
    assert "FASTRTC_PHONE" not in variables
    assert variables["PORT"] == "7999"
    assert not Settings.from_mapping(variables).fastrtc_phone


def test_phone_asks_for_a_number(
    read_variables: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FASTRTC_PHONE", "0")
    settings = Settings.from_mapping(read_variables("--phone"))
    assert settings.fastrtc_phone
    assert settings.port == 7999


def test_the_environment_alone_can_ask_for_it_too(
    read_variables: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FASTRTC_PHONE", "1")
    assert Settings.from_mapping(read_variables()).fastrtc_phone


def test_an_unknown_argument_is_refused(
    read_variables: Callable[..., dict[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        read_variables("--telephone")
    assert "--telephone" in capsys.readouterr().err


def refusal(folder: Path, **variables: str) -> str:
    """What the app says on standard error as it ends itself at its start."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "ENGINE": "echo", "HOST": "127.0.0.1"}
    environment |= {"RECORDINGS_DIR": str(folder / "recordings"), **variables}
    ended = subprocess.run(
        [sys.executable, str(APP)], env=environment, cwd=folder, capture_output=True, text=True, timeout=50
    )
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    return ended.stderr


def test_a_port_in_use_ends_the_start_with_a_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refusal(tmp_path, PORT=str(port))
    assert said.endswith(f"Port {port} is in use; stop what uses it, or set PORT to another.\n")
    assert "http://localhost" not in said


def test_a_folder_that_cannot_be_written_ends_the_start_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = refusal(tmp_path, RECORDINGS_DIR=str(tmp_path / "file" / "in"))
    assert said.startswith("RECORDINGS_DIR is ")
    assert said.count("\n") == 1
