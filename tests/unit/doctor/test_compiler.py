"""What Triton needs to build kernels, on this machine and with things taken away."""

import os
import sysconfig
from pathlib import Path

import pytest

from personaplex_ui.doctor.compiler import compiler_trouble


def program(folder: Path, name: str, script: str) -> str:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def here(tmp_path: Path) -> dict[str, str]:
    """An environment where nothing is missing: the compiler is one that makes no fuss."""
    program(tmp_path, "gcc", "exit 0")
    return {"PATH": f"{tmp_path}:/bin:/usr/bin", "HOME": str(tmp_path)}


@pytest.fixture(autouse=True)
def _headers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    include = tmp_path / "include"
    include.mkdir()
    (include / "Python.h").touch()
    monkeypatch.setattr(sysconfig, "get_paths", lambda: {"include": str(include)})


def test_nothing_is_missing(here: dict[str, str], tmp_path: Path) -> None:
    assert compiler_trouble(here) == ""
    assert (tmp_path / ".triton" / "cache").is_dir()
    assert compiler_trouble(here | {"TRITON_CACHE_DIR": str(tmp_path / "kernels")}) == ""
    assert (tmp_path / "kernels").is_dir()


def test_no_compiler(here: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "gcc").unlink()
    alone = here | {"PATH": str(tmp_path)}
    assert compiler_trouble(alone) == (
        "There is no C compiler. On Debian and Ubuntu: apt install gcc libc6-dev python3-dev."
    )
    program(tmp_path, "clang", "exit 0")
    assert compiler_trouble(alone) == ""


def test_a_compiler_that_is_named_is_the_one_that_is_tried(here: dict[str, str], tmp_path: Path) -> None:
    broken = program(tmp_path, "tcc", "echo 'trial.c:1:10: fatal error: stdlib.h: No such file' >&2; exit 1")
    told = f"The C compiler {broken} fails: stdlib.h: No such file. On Debian"
    assert compiler_trouble(here | {"CC": broken}).startswith(told)
    missing = str(tmp_path / "nothing")
    assert "cannot be run: FileNotFoundError" in compiler_trouble(here | {"CC": missing})


def test_no_headers(here: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "include" / "Python.h").unlink()
    assert f"headers are not in {tmp_path / 'include'}." in compiler_trouble(here)


def test_a_cache_that_cannot_be_written(here: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    trouble = compiler_trouble(here | {"TRITON_CACHE_DIR": str(tmp_path / "file" / "cache")})
    assert trouble.endswith("Set TRITON_CACHE_DIR to a folder that can be written.")
    assert str(tmp_path / "file" / "cache") in trouble


def test_a_real_compiler_compiles_the_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the headers that this Python has, where it has any."""
    monkeypatch.undo()
    include = Path(sysconfig.get_paths()["include"])
    trouble = compiler_trouble({"PATH": os.environ["PATH"], "HOME": str(tmp_path)})
    if (include / "Python.h").is_file() and any(
        (Path(folder) / "gcc").is_file() for folder in os.environ["PATH"].split(":")
    ):
        assert trouble == ""
    else:
        assert "apt install gcc" in trouble
