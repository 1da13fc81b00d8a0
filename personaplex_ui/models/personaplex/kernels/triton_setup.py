"""Whether Triton is there, and has what it needs to build kernels."""

import shutil
from pathlib import Path

from personaplex_ui.build_tools import cache_trouble, compiler_trouble


def triton_missing() -> str:
    """Why Triton cannot be imported, or nothing."""
    try:
        import triton  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ImportError as error:
        return f"Triton, which PyTorch brings along for NVIDIA GPUs on Linux, cannot be imported: {error}."
    return ""


def build_trouble() -> str:
    """What Triton lacks to build kernels, and what to do; or nothing. Blocks for a second."""
    missing = triton_missing()
    if missing:
        return missing
    from triton import knobs

    compiler = knobs.build.cc or shutil.which("gcc") or shutil.which("clang")
    return compiler_trouble(compiler) or cache_trouble(Path(knobs.cache.dir))
