"""Finds what Triton would build GPU kernels with, without importing it."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from personaplex_ui import build_tools


def compiler_trouble(environment: Mapping[str, str]) -> str:
    """Why Triton cannot build kernels here, and what to do; empty if it can. Blocks for a second.

    Looks in the same places as Triton 3.5: ``CC``, else gcc, else clang; ``TRITON_CACHE_DIR``, else
    ``.triton/cache`` in ``TRITON_HOME`` or the user's home.
    """
    path = environment.get("PATH")
    compiler = environment.get("CC") or shutil.which("gcc", path=path) or shutil.which("clang", path=path)
    home = Path(environment.get("TRITON_HOME") or environment.get("HOME") or "~").expanduser()
    cache = Path(environment.get("TRITON_CACHE_DIR") or home / ".triton" / "cache")
    return build_tools.compiler_trouble(compiler) or build_tools.cache_trouble(cache)
