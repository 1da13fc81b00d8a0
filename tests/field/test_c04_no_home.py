"""A user whom the system does not know, without HOME, as OpenShift starts containers: the model loads."""

import getpass
import os
import pwd
import tempfile
from pathlib import Path

import pytest

from personaplex_ui.config.environment import give_home
from personaplex_ui.errors import SettingsError
from tests.support.app_process import TINY, running_app

NO_SUCH_USER = """
import pwd

def none(uid):
    raise KeyError(f"getpwuid(): uid not found: {uid}")

pwd.getpwuid = none
"""


@pytest.fixture
def unknown_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def none(uid: int) -> pwd.struct_passwd:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    for name in ("HOME", "USER", "LOGNAME", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", none)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.mark.usefixtures("unknown_user")
def test_the_user_gets_a_home_and_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    environment: dict[str, str] = {}
    (note,) = give_home(environment)
    assert Path(environment["HOME"]).is_dir()
    assert "Set HOME or HF_HOME" in note
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Path.home() == Path(environment["HOME"])
    assert getpass.getuser() == "personaplex"


@pytest.mark.usefixtures("unknown_user")
def test_where_the_model_has_a_place_nothing_need_be_said() -> None:
    assert list(give_home({"HF_HOME": "/data/huggingface"})) == []


@pytest.mark.usefixtures("unknown_user")
def test_where_none_can_be_made_home_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(SettingsError, match="Set HOME to a folder"):
        list(give_home({}))


def test_a_home_that_is_known_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "USER": "ann"}
    assert list(give_home(environment)) == []
    assert environment == {"HOME": str(tmp_path), "USER": "ann"}


def test_the_model_loads_without_home_and_user(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(NO_SUCH_USER)
    path = f"{site}{os.pathsep}{Path(__file__).parents[2]}"
    with running_app(tmp_path, **TINY, HOME="", PYTHONPATH=path, TMPDIR=str(tmp_path)) as app:
        assert "This user has no home folder" in app.log
