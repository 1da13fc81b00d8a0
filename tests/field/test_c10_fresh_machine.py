"""A minimal Debian: what ``make`` needs besides Python is installed where it may be, else named."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.app_process import ROOT

SCRIPTS = ROOT / "scripts"
NEEDED = ("bash", "dirname", "env", "find", "mkdir", "touch", "cat", "rm", "ln")
"""What a minimal Debian has of what the scripts call."""


class Machine:
    """A folder of commands as the only PATH; those that are made here write down how they were called."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.called_path = folder / "called"
        self.bin.mkdir()
        self.called_path.touch()
        for name in NEEDED:
            found = next(path for place in ("/usr/bin", "/bin") if (path := Path(place, name)).exists())
            (self.bin / name).symlink_to(found)

    def add(self, name: str, does: str = "exit 0") -> None:
        command = self.bin / name
        command.write_text(f'#!/bin/bash\necho "{name} $*" >>{self.called_path}\n{does}\n')
        command.chmod(0o755)

    @property
    def called(self) -> list[str]:
        return self.called_path.read_text().splitlines()

    def run(self, script: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [SCRIPTS / script, *arguments],
            env={"PATH": str(self.bin), **variables},
            capture_output=True,
            text=True,
            timeout=30,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def python(machine: Machine, *, version_fits: bool = True, has_venv: bool = True) -> None:
    """A ``python3`` that gets ``venv`` when apt-get installs it."""
    installed = machine.bin / "venv-is-installed"
    if has_venv:
        installed.touch()
    machine.add(
        "python3",
        f"""
case "$*" in
    *version_info*) exit {0 if version_fits else 1} ;;
    *ensurepip*) [[ -e {installed} ]] ;;
    --version) echo "Python 3.9.2" ;;
esac""",
    )
    machine.add("sudo", 'shift; exec "$@"')  # for those who are not root
    machine.add("apt-get", f'case "$*" in *python3-venv*) touch {installed} ;; esac')


def test_a_missing_venv_is_installed(machine: Machine) -> None:
    python(machine, has_venv=False)
    done = machine.run("make-environment.sh", "place")
    assert done.returncode == 0, done.stderr
    assert any(re.fullmatch(r"apt-get install .* python3-venv", call) for call in machine.called)
    assert machine.called[-1] == "python3 -m venv place"


def test_where_it_may_not_be_installed_it_is_named(machine: Machine) -> None:
    python(machine, has_venv=False)
    (machine.bin / "apt-get").unlink()
    (machine.bin / "sudo").unlink()
    done = machine.run("make-environment.sh", "place")
    assert done.returncode == 1
    assert done.stderr.strip() == (
        "python3 cannot make a virtual environment. Install its package: apt-get install python3-venv"
    )


def test_nothing_is_installed_where_nothing_is_missing(machine: Machine) -> None:
    python(machine)
    assert machine.run("make-environment.sh", "place").returncode == 0
    assert not [call for call in machine.called if call.startswith("apt-get")]


def test_a_python_that_does_not_fit_is_named(machine: Machine) -> None:
    python(machine, version_fits=False)
    done = machine.run("make-environment.sh", "place")
    assert done.returncode == 1
    assert (
        done.stderr == "personaplex_ui needs Python 3.11, 3.12 or 3.13 as python3, which is Python 3.9.2.\n"
    )


def test_the_tools_of_the_tests_are_installed(machine: Machine) -> None:
    """libatomic1 among them: the Node.js that comes with Playwright needs it."""
    machine.add("sudo", 'shift; exec "$@"')
    machine.add("apt-get")
    (machine.bin / "find").unlink()
    machine.add("find")  # it finds no libatomic
    assert machine.run("install-test-tools.sh").returncode == 0
    (call,) = (call for call in machine.called if call.startswith("apt-get install"))
    assert {"chromium", "espeak-ng", "ffmpeg", "sox", "libatomic1"} <= {*call.split()}


@pytest.mark.parametrize(("all_needed", "status"), [("", 0), ("1", 1)])
def test_tools_that_may_not_be_installed_are_named_in_one_line(
    machine: Machine, all_needed: str, status: int
) -> None:
    done = machine.run("install-test-tools.sh", REQUIRE_ALL_TESTS=all_needed)
    assert done.returncode == status
    assert re.fullmatch(r"Missing for some tests, .*: apt-get install chromium .*\n", done.stderr)


def test_the_makefile_sets_up_with_these_scripts() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert "scripts/make-environment.sh $(VENV)" in makefile
    assert "scripts/install-test-tools.sh" in makefile


def test_the_readme_names_what_is_needed() -> None:
    readme = (ROOT / "README.md").read_text()
    assert "python3-venv" in readme
    assert "3.11, 3.12 or 3.13" in readme
