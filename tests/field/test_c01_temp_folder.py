"""Uploads go to a folder of this user, whoever owns ``gradio`` in the system's temp folder."""

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx
import pytest

from personaplex_ui.config.environment import give_gradio_a_folder, private_folder
from personaplex_ui.errors import SettingsError
from tests.support.app_process import ROOT, running_app


def given_folder(monkeypatch: pytest.MonkeyPatch, temp: Path, **environment: str) -> Path:
    """The folder that Gradio is given where the system's temp folder is ``temp``."""
    monkeypatch.setattr(tempfile, "tempdir", str(temp))
    give_gradio_a_folder(environment)
    return Path(environment["GRADIO_TEMP_DIR"])


def test_it_belongs_to_this_user_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = given_folder(monkeypatch, tmp_path)
    assert folder.parent == tmp_path
    assert folder.name == f"gradio-{os.getuid()}"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_the_next_start_finds_the_same_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert given_folder(monkeypatch, tmp_path) == given_folder(monkeypatch, tmp_path)


def test_a_folder_that_others_could_read_is_closed(tmp_path: Path) -> None:
    (tmp_path / f"gradio-{os.getuid()}").mkdir(mode=0o777)
    assert stat.S_IMODE(private_folder(tmp_path, "gradio").stat().st_mode) == 0o700


def test_a_name_that_somebody_took_is_left_to_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gradio-7000").mkdir()
    monkeypatch.setattr(os, "getuid", lambda: 7000)  # so that it belongs to somebody else
    folder = private_folder(tmp_path, "gradio")
    assert folder.name != "gradio-7000"
    assert folder.is_dir()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"gradio-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    folder = private_folder(tmp_path, "gradio")
    assert not folder.is_symlink()
    assert folder.resolve() != (tmp_path / "elsewhere").resolve()


def test_a_file_in_its_place_is_left_alone(tmp_path: Path) -> None:
    taken = tmp_path / f"gradio-{os.getuid()}"
    taken.write_text("mine")
    assert private_folder(tmp_path, "gradio").is_dir()
    assert taken.read_text() == "mine"


def test_a_folder_that_was_given_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given = str(tmp_path / "uploads" / "of the app")
    assert given_folder(monkeypatch, tmp_path, GRADIO_TEMP_DIR=given) == Path(given)
    assert Path(given).is_dir()


def test_a_given_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=r"^GRADIO_TEMP_DIR is '.*/file/in', but nothing can be written"):
        give_gradio_a_folder({"GRADIO_TEMP_DIR": str(tmp_path / "file" / "in")})


def test_no_temp_folder_at_all_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    with pytest.raises(SettingsError, match=r"Set TMPDIR or GRADIO_TEMP_DIR to a folder"):
        give_gradio_a_folder({})


def test_the_app_takes_an_upload_where_gradio_belongs_to_somebody_else(tmp_path: Path) -> None:
    (tmp_path / "gradio").write_text("what somebody else has there")
    with running_app(tmp_path, TMPDIR=str(tmp_path), GRADIO_TEMP_DIR="") as app:
        files = {"files": ("a.wav", b"RIFF")}
        answer = httpx.post(f"{app.url}/gradio_api/upload", files=files, headers=app.headers)
    assert answer.status_code == 200
    assert Path(answer.json()[0]).is_relative_to(tmp_path / f"gradio-{os.getuid()}")


def test_the_offline_command_starts_there_too(tmp_path: Path) -> None:
    (tmp_path / "gradio").write_text("what somebody else has there")
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "personaplex_ui.offline", "--help"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=50)
    assert done.returncode == 0
