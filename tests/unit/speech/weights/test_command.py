"""``python -m personaplex_ui.speech.weights``, and where it asks."""

import subprocess
import sys
from pathlib import Path

import pytest

from personaplex_ui.speech.weights import __main__ as command
from personaplex_ui.speech.weights import store
from personaplex_ui.speech.weights.registries import Registries
from tests.support.weight_places import NOWHERE, WORDS, Places


@pytest.fixture
def ours(places: Places, monkeypatch: pytest.MonkeyPatch) -> Places:
    """The command knows these weights, and reaches these places."""
    monkeypatch.setattr(store, "read_manifest", lambda: places.manifest)
    registries = places.http()

    def from_environment(environment: object) -> Registries:
        return registries

    monkeypatch.setattr(command.Registries, "from_environment", from_environment)
    return places


def test_it_fetches_everything(ours: Places, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--folder", str(ours.folder)]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        f"{name}: {ours.folder / name}" for name in ("model", "voice.bin", "sdist.bin")
    ]
    assert "Fetching model/model.bin from the hub: 2 MB." in said.err
    assert "The weights model are here." in said.err


def test_it_fetches_what_is_named(ours: Places) -> None:
    assert command.main(["voice.bin", "--folder", str(ours.folder)]) == 0
    assert not (ours.folder / "model").exists()


def test_without_a_folder_it_takes_that_of_the_user(ours: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(ours.folder))
    assert command.main(["model/words.txt"]) == 0
    path = ours.folder / ".cache/personaplex-ui/weights/model/words.txt"
    assert path.read_bytes() == WORDS


def test_what_fails_is_one_sentence(ours: Places, capsys: pytest.CaptureFixture[str]) -> None:
    ours.index.status = 404
    assert command.main(["voice.bin", "--folder", str(ours.folder)]) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("The weights voice.bin are missing, and could")


def test_progress_is_a_line_for_each_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    progress = command.Progress()
    for arrived in range(101):
        progress(f"Fetching tiny: {arrived} of 100 MB.", arrived / 100)
    assert len(capsys.readouterr().err.splitlines()) == 11


def test_it_can_be_run_as_a_module() -> None:
    command = [sys.executable, "-m", "personaplex_ui.speech.weights", "--help"]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "Fetches the weights" in said.stdout


@pytest.mark.parametrize(
    ("environment", "pypi"),
    [
        ({}, "https://pypi.org/simple/"),
        ({"PIP_INDEX_URL": " "}, "https://pypi.org/simple/"),
        ({"PIP_INDEX_URL": "https://one/", "UV_DEFAULT_INDEX": "https://two/"}, "https://one/"),
        ({"UV_DEFAULT_INDEX": "https://two/", "UV_INDEX_URL": "https://three/"}, "https://two/"),
        ({"UV_INDEX_URL": "https://three/"}, "https://three/"),
    ],
)
def test_an_index_of_the_environment_is_asked(environment: dict[str, str], pypi: str) -> None:
    assert Registries.from_environment(environment).pypi == pypi


def test_a_registry_of_the_environment_is_asked_in_either_case() -> None:
    for name in ("NPM_CONFIG_REGISTRY", "npm_config_registry"):
        assert Registries.from_environment({name: NOWHERE}).npm == NOWHERE


def test_a_user_without_a_home_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    assert command.main(["voice.bin"]) == 1
    assert "Name a folder for the weights." in capsys.readouterr().err
