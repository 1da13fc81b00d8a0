"""What Triton needs of a machine to build: a C compiler, Python's headers, a folder that it can write to.

It compiles its kernels by itself, but what launches them is C. Both are kept in its cache; a machine whose
cache is filled needs none of it.
"""

import shutil
import subprocess
import sysconfig
import tempfile
from pathlib import Path

SOURCE = "#include <Python.h>\n#include <stdlib.h>\n"
COMPILER_SEC = 30.0


def triton_missing() -> str:
    """Why Triton cannot be imported, or nothing."""
    try:
        import triton  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ImportError as error:
        return (
            f"Triton cannot be imported ({error}). It comes with PyTorch's builds for NVIDIA GPUs on Linux."
        )
    return ""


def build_trouble() -> str:
    """What this machine lacks for Triton to build what launches its kernels, and what to do; or nothing."""
    return triton_missing() or _compiler_trouble() or _cache_trouble()


def _compiler_trouble() -> str:
    from triton import knobs

    compiler = knobs.build.cc or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return "Triton needs a C compiler, and there is none. Install gcc and libc6-dev."
    headers = sysconfig.get_paths()["include"]
    command = [compiler, "-x", "c", "-fsyntax-only", f"-I{headers}", "-"]
    try:
        run = subprocess.run(command, input=SOURCE, capture_output=True, text=True, timeout=COMPILER_SEC)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"Triton needs a C compiler, and {compiler} does not run ({error}). Install gcc and libc6-dev."
    if run.returncode:
        said = next((line for line in run.stderr.splitlines() if "error" in line), run.stderr.strip())
        return (
            f"Triton needs the headers of C and Python, and {compiler} does not find or take them "
            f"({said.strip()}). Install libc6-dev, and python3-dev or what else brings Python.h to {headers}."
        )
    return ""


def _cache_trouble() -> str:
    from triton import knobs

    folder = Path(knobs.cache.dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return (
            f"Triton cannot write to its cache, {folder} ({error.strerror}). Set TRITON_CACHE_DIR to a "
            "folder that it can write to."
        )
