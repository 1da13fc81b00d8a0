"""Tries what Triton needs to build GPU kernels at run time: a C compiler, headers, a folder to keep them in.

It compiles the kernels by itself, but what launches them is C. Where its cache is filled, none of that is
needed.
"""

import subprocess
import sysconfig
import tempfile
from pathlib import Path

COMPILED_WITHIN_SEC = 15.0
SOURCE = "#include <stdlib.h>\n#include <Python.h>\nint answer(void) { return PY_MAJOR_VERSION; }\n"
INSTALL = "On Debian and Ubuntu: apt install gcc libc6-dev python3-dev."


def compiler_trouble(compiler: str | None) -> str:
    """Why ``compiler``, if there is one, cannot build for this Python, and what to do; empty if it can.

    Blocks for a second.
    """
    if compiler is None:
        return f"There is no C compiler. {INSTALL}"
    include = sysconfig.get_paths()["include"]
    if not (Path(include) / "Python.h").is_file():
        return f"Python's headers are not in {include}. {INSTALL}"
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "trial.c"
        source.write_text(SOURCE, encoding="ascii")
        command = [compiler, str(source), "-shared", "-fPIC", f"-I{include}", "-o", f"{folder}/trial.so"]
        try:
            done = subprocess.run(command, capture_output=True, timeout=COMPILED_WITHIN_SEC)
        except (OSError, subprocess.SubprocessError) as error:
            return f"The C compiler {compiler} cannot be run: {type(error).__name__}. {INSTALL}"
    if done.returncode == 0:
        return ""
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    first = lines[0] if lines else f"it ends with {done.returncode}"
    why = next((error for line in lines if (error := line.partition("error: ")[2])), first)
    return f"The C compiler {compiler} fails: {why.strip().rstrip('.')}. {INSTALL}"


def cache_trouble(folder: Path) -> str:
    """Why kernels cannot be kept in ``folder``, and what to do; empty if they can."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"0")
    except OSError as error:
        why = error.strerror or "it cannot be created"
        step = "Set TRITON_CACHE_DIR to a folder that can be written."
        return f"Kernels cannot be kept in {folder}: {why}. {step}"
    return ""
