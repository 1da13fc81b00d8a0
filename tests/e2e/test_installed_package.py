"""The wheel, installed: what ``pip install .`` gives to somebody who has no checkout."""

import contextlib
import os
import re
import signal
import site
import subprocess
import sys
import venv
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest

from personaplex_ui import __version__
from personaplex_ui.ui.page_head import load_page_files
from tests.support.app_process import ROOT, free_port, wait_until

pytestmark = pytest.mark.timeout(120)


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, env=bare_environment(cwd), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def bare_environment(home: Path, **variables: str) -> dict[str, str]:
    """Without PYTHONPATH, and without what is set here for the app."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), **variables}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("elsewhere")


@pytest.fixture(scope="module")
def programs(folder: Path) -> Path:
    """The ``bin`` of a new environment that has the wheel and, by a ``.pth`` file, this one's libraries."""
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
    offline = ("--no-deps", "--no-index")
    run(*pip, "wheel", *offline, "--no-build-isolation", "--wheel-dir", folder, ROOT, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv", symlinks=True)
    (packages,) = (folder / "venv").glob("lib/python*/site-packages")
    (packages / "libraries.pth").write_text("\n".join(site.getsitepackages()))
    run(*pip, "--python", folder / "venv", "install", *offline, wheel, cwd=folder)
    return folder / "venv" / "bin"


@pytest.fixture(scope="module")
def app(programs: Path, folder: Path) -> Generator[httpx.Client]:
    """A client of ``personaplex-ui serve``, started in a folder that has nothing of the checkout."""
    port = free_port()
    variables = bare_environment(folder, ENGINE="echo", CAPTIONS="off", HOST="127.0.0.1", PORT=str(port))
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(
            [programs / "personaplex-ui", "serve"], cwd=folder, env=variables, stdout=log, stderr=log
        ) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as client,
    ):

        def healthy() -> bool:
            assert process.poll() is None, (folder / "log").read_text()
            with contextlib.suppress(httpx.TransportError):
                return client.get("/health").status_code == 200
            return False

        try:
            wait_until(healthy, 60, "the installed app is healthy")
            yield client
        finally:
            process.send_signal(signal.SIGTERM)


def test_the_code_is_the_installed_one(programs: Path, folder: Path) -> None:
    found = run(
        programs / "python", "-c", "import personaplex_ui; print(personaplex_ui.__file__)", cwd=folder
    )
    assert Path(found).is_relative_to(folder)


@pytest.mark.parametrize("command", [("personaplex-ui",), ("python", "-m", "personaplex_ui")])
def test_it_tells_its_version_and_its_commands(
    programs: Path, folder: Path, command: tuple[str, ...]
) -> None:
    program = (programs / command[0], *command[1:])
    assert run(*program, "--version", cwd=folder) == f"personaplex-ui {__version__}\n"
    told = run(*program, "--help", cwd=folder)
    for name in ("serve", "offline", "doctor"):
        assert re.search(rf"^ +{name} ", told, re.MULTILINE)
        assert f"usage: personaplex-ui {name} " in run(*program, name, "--help", cwd=folder)


def test_the_catalogue_of_voices_is_in_it(app: httpx.Client) -> None:
    assert len(app.get("/voices").json()["voices"]) == 18


def test_the_sounds_of_the_echo_engine_are_in_it(app: httpx.Client) -> None:
    assert app.get("/voices/NATF2/preview.wav").content.startswith(b"RIFF")


def test_the_page_has_its_styles_and_its_script(app: httpx.Client) -> None:
    page = app.get("/").text
    files = load_page_files()
    for name in ("page.css", "page.mjs"):
        assert files.path_of(name) in page
        assert app.get(f"/{files.path_of(name)}").status_code == 200
