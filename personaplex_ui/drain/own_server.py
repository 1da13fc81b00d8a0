"""Whether what listens on a port is this app itself: by its process, and by its answer to ``GET /capacity``.

Both are asked, since a proxy in front may pass the answer on, and may handle the same signal in another way:
HAProxy's SIGUSR1 ends it.
"""

import re
from pathlib import Path
from typing import Any, cast

import httpx

from personaplex_ui.drain.listening_process import PROC

PACKAGE = "personaplex_ui"
MAX_SCRIPT_BYTES = 64 * 1024
MAX_ARGUMENTS = 20
OF_A_CAPACITY = frozenset({"lines", "lines_free", "waiting", "live_calls", "accepting", "draining"})
EVERYWHERE = ("", "0.0.0.0", "::", "[::]")


def is_this_app(pid: int, proc: Path = PROC) -> bool:
    """Whether the process is Python with a program that names this package: ``python -m personaplex_ui``,
    ``personaplex-ui``, ``app.py``, or another script that serves it. False if the system does not tell.

    A script is read as the process sees it, which may be in a container.
    """
    process = proc / str(pid)
    try:
        program = (process / "exe").readlink().name
        given = (process / "cmdline").read_bytes().split(b"\0")[1:MAX_ARGUMENTS]
    except OSError:
        return False
    if not program.startswith("python"):
        return False
    arguments = iter([argument.decode(errors="replace") for argument in given])
    for argument in arguments:
        if argument in ("-W", "-X"):
            next(arguments, "")
        elif re.fullmatch(r"-\w*[mc]", argument):
            named = next(arguments, "")
            return PACKAGE in named if argument.endswith("c") else named.partition(".")[0] == PACKAGE
        elif not argument.startswith("-"):
            return PACKAGE in _text_of(process, argument)
    return False


def _text_of(process: Path, script: str) -> str:
    """The beginning of the script; empty if it cannot be read."""
    path = process / "root" / script.lstrip("/") if script.startswith("/") else process / "cwd" / script
    try:
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            return file.read(MAX_SCRIPT_BYTES).decode(errors="replace")
    except OSError:
        return ""


def local_url(host: str, port: int) -> str:
    """Where a server that listens on ``host`` answers on this machine."""
    host = "127.0.0.1" if host in EVERYWHERE else host
    return f"http://{f'[{host}]' if ':' in host and not host.startswith('[') else host}:{port}"


def capacity_at(client: httpx.Client, url: str) -> dict[str, Any] | None:
    """What this app tells at ``url``; empty if it is busy, or something else answers; None if nobody
    listens."""
    try:
        told: Any = client.get(f"{url}/capacity").json()
        capacity = cast("dict[str, Any]", told) if isinstance(told, dict) else {}
    except httpx.ConnectError:
        return None
    except (httpx.TransportError, ValueError):  # it is busy, or just ending
        return {}
    return capacity if capacity.keys() >= OF_A_CAPACITY else {}
