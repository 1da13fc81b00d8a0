"""``.env`` is read literally: what stands there is what the app gets, at every start and by every way."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from personaplex_ui.config.env_file import parse, read_env_file
from personaplex_ui.config.settings import Settings
from personaplex_ui.errors import SettingsError
from tests.support.app_process import ROOT, refusal_at_start

PASSWORDS = (
    "pa$$word1",
    "a$HOME",
    "${HOME}",
    "a&b",
    "(a)",
    "a`id`b",
    "$(id)",
    "a\\nb",
    "a#b",
    "a=b",
    "é ü",
    "a;b",
)


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_value_counts_as_it_is_written(password: str, end: str) -> None:
    text = f"# a comment{end}PORT=8000{end}APP_PASSWORD={password}{end}"
    assert parse(text) == {"PORT": "8000", "APP_PASSWORD": password}


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("NAME=a b  ", "a b"),
        ("NAME = a", "a"),
        ("export NAME=a", "a"),
        ('NAME="a # b"', "a # b"),
        ("NAME='a $b \"c\"'", 'a $b "c"'),
        ('NAME="pa$$word1"', "pa$$word1"),
        ("NAME=a # a comment", "a"),
        ('NAME={"+1555": {"voice_prompt": "NATF2"}}', '{"+1555": {"voice_prompt": "NATF2"}}'),
        ("NAME=", ""),
        ("NAME=1\nNAME=2", "2"),
    ],
)
def test_the_forms_of_a_line(line: str, value: str) -> None:
    assert parse(line) == {"NAME": value}


@given(st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="#'\"`"), min_size=1))
def test_any_word_comes_through(word: str) -> None:
    assert parse(f"NAME={word}\r\nNEXT=1") == {"NAME": word, "NEXT": "1"}


@pytest.mark.parametrize(
    ("text", "line"),
    [("A=1\n\nB='unfinished\n", 3), ("A=1\nno value\n", 2), ("A='a' b\n", 1), ("A=\0\n", 1)],
)
def test_a_line_that_cannot_be_read_is_told_by_its_number(text: str, line: int) -> None:
    with pytest.raises(SettingsError, match=rf"^Line {line} of \.env ") as refused:
        parse(text)
    assert "unfinished" not in str(refused.value), "it may be a secret"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_files_of_all_editors_are_read(tmp_path: Path, encoding: str) -> None:
    (tmp_path / ".env").write_bytes("APP_PASSWORD=größer\r\nPORT=1\r\n".encode(encoding))
    assert read_env_file(tmp_path / ".env") == {"APP_PASSWORD": "größer", "PORT": "1"}


def test_another_encoding_is_told(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes("APP_PASSWORD=größer\n".encode("latin-1"))
    with pytest.raises(SettingsError, match=r"is not in UTF-8\. Save it in this encoding\.") as refused:
        read_env_file(tmp_path / ".env")
    assert "gr" not in str(refused.value).replace(str(tmp_path), "")


def test_a_folder_in_its_place_is_told(tmp_path: Path) -> None:
    """Docker makes one where a file was to be mounted that is not there."""
    (tmp_path / ".env").mkdir()
    with pytest.raises(SettingsError, match="is a folder"):
        read_env_file(tmp_path / ".env")


def test_no_file_says_nothing(tmp_path: Path) -> None:
    assert read_env_file(tmp_path / ".env") == {}
    assert read_env_file(Path(os.devnull)) == {}


@pytest.mark.parametrize("password", ["pa$$word1", "a # b", "  a"])
def test_what_docker_leaves_of_quotes_does_not_count(password: str) -> None:
    settings = Settings.from_mapping({"APP_PASSWORD": f"'{password}'", "PORT": '"8000"\r'})
    assert settings.app_password is not None
    assert settings.app_password.get_secret_value() == password.strip()
    assert settings.port == 8000


def read_by(command: list[str], folder: Path, **environment: str) -> dict[str, str]:
    """The settings as the app would read them, started by ``command`` in ``folder``."""
    variables = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT), **environment}
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


SHOW = """
import json, os
from personaplex_ui.config.environment import prepare_environment
from personaplex_ui.config.settings import Settings
prepare_environment(os.environ)
settings = Settings.from_mapping(os.environ)
password = settings.app_password.get_secret_value() if settings.app_password else ""
print(json.dumps({"password": password, "port": str(settings.port), "role": settings.default_text_prompt}))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One to start the app in, with an ``app.py`` that shows what it read."""
    lines = ["APP_PASSWORD=pa$$word1", "PORT=8000", 'DEFAULT_TEXT_PROMPT="You (Ann) & Bob: $5 {off}."']
    (tmp_path / ".env").write_bytes("\r\n".join([*lines, ""]).encode())
    (tmp_path / "app.py").write_text(SHOW)
    (tmp_path / "Makefile").write_bytes((ROOT / "Makefile").read_bytes())
    return tmp_path


EXPECTED = {"password": "pa$$word1", "port": "8000", "role": "You (Ann) & Bob: $5 {off}."}


def test_python_reads_it(folder: Path) -> None:
    assert read_by([sys.executable, "app.py"], folder) == EXPECTED
    assert read_by([sys.executable, "app.py"], folder) == EXPECTED, "and again at the next start"


def test_make_reads_it(folder: Path) -> None:
    (folder / "requirements.txt").touch()
    shell = "sha256sum < requirements.txt | cut -c1-16"
    stamp = subprocess.run(["bash", "-c", shell], cwd=folder, capture_output=True, text=True).stdout.strip()
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / ".venv" / "bin" / "python").symlink_to(sys.executable)
    (folder / ".venv" / f".runtime-{stamp}").touch()
    path = os.pathsep.join(entry for entry in sys.path if "site-packages" in entry)
    found = read_by(["make", "demo"], folder, PYTHONPATH=f"{ROOT}{os.pathsep}{path}")
    assert found == EXPECTED


def test_the_environment_wins(folder: Path) -> None:
    found = read_by([sys.executable, "app.py"], folder, PORT="9000", APP_PASSWORD="")
    assert found == {**EXPECTED, "port": "9000", "password": ""}


def test_another_file_can_be_named(folder: Path) -> None:
    (folder / "other").write_text("PORT=9001\n")
    assert read_by([sys.executable, "app.py"], folder, ENV_FILE="other")["port"] == "9001"


def test_compose_passes_it_on_as_it_is() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    for service in compose["services"].values():
        assert [file["format"] for file in service["env_file"]] == ["raw"]


def test_the_app_names_a_line_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PORT 8000\n")
    assert refusal_at_start(tmp_path).startswith("Line 1 of .env is not NAME=VALUE.")
