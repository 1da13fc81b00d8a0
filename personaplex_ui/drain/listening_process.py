"""Which process of this machine, or this container, listens on a port, as Linux tells it in ``/proc``."""

import contextlib
import os
import re
from pathlib import Path

LISTENING = "0A"
PROC = Path("/proc")


def listening_process(port: int, proc: Path = PROC) -> int | None:
    """The id of a process of this user that listens on ``port``; None if there is none.

    Raises:
        OSError: this system does not tell.
    """
    sockets = {f"socket:[{inode}]" for inode in _listening_sockets(port, proc)}
    own = (int(folder.name) for folder in proc.iterdir() if folder.name.isdigit())
    return min((pid for pid in own if sockets & _open_files(proc / str(pid) / "fd")), default=None)


def catches(pid: int, signal_number: int, proc: Path = PROC) -> bool:
    """Whether the process handles the signal, which would end it otherwise.

    Raises:
        OSError: this system does not tell, or there is no such process.
    """
    caught = re.search(r"^SigCgt:\s*([0-9a-f]+)$", (proc / str(pid) / "status").read_text(), re.MULTILINE)
    return caught is not None and bool(int(caught[1], 16) >> (signal_number - 1) & 1)


def _listening_sockets(port: int, proc: Path) -> set[str]:
    """Their inodes. The columns: number, local address with the port in hex, remote address, state, ...,
    inode."""
    found: set[str] = set()
    tables = [table for name in ("tcp", "tcp6") if (table := proc / "net" / name).exists()]
    if not tables:
        raise FileNotFoundError(f"{proc / 'net' / 'tcp'} is missing")
    for table in tables:
        for line in table.read_text().splitlines()[1:]:
            columns = line.split()
            if columns[3] == LISTENING and int(columns[1].rpartition(":")[2], 16) == port:
                found.add(columns[9])
    return found


def _open_files(folder: Path) -> set[str]:
    """Nothing for a process of another user, or one that has just ended."""
    found: set[str] = set()
    with contextlib.suppress(OSError):
        for file in folder.iterdir():
            with contextlib.suppress(OSError):
                found.add(os.readlink(file))
    return found
