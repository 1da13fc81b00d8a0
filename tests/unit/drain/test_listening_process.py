"""Who listens on a port: on this machine, and in a /proc of the test's own."""

import os
import signal
import socket
from pathlib import Path

import pytest

from personaplex_ui.drain.listening_process import catches, listening_process

TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt uid timeout inode
   0: 00000000:1EB4 00000000:0000 0A 00000000:00000000 00:00000000 00000000 1000 0 777 1 0 100 0 0 10 0
   1: 0100007F:1EB4 0100007F:A0B0 01 00000000:00000000 00:00000000 00000000 1000 0 778 1 0 20 4 30 10 -1
"""


def process(proc: Path, pid: int, inode: int, caught: str = "0") -> None:
    files = proc / str(pid) / "fd"
    files.mkdir(parents=True)
    (files / "3").symlink_to(f"socket:[{inode}]")
    (proc / str(pid) / "status").write_text(f"Name:\tpython\nSigCgt:\t{caught}\n")


@pytest.mark.parametrize("table", ["tcp", "tcp6"])
def test_the_process_with_the_socket_is_found(tmp_path: Path, table: str) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / table).write_text(TCP)
    process(tmp_path, 40, 778)  # a client of it
    process(tmp_path, 41, 777)
    (tmp_path / "42").mkdir()  # of another user, or gone
    assert listening_process(7860, tmp_path) == 41
    assert listening_process(7861, tmp_path) is None


def test_a_system_that_does_not_tell(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="missing"):
        listening_process(7860, tmp_path)


def test_a_signal_that_would_end_the_process_is_seen(tmp_path: Path) -> None:
    process(tmp_path, 41, 1, "0000000180000200")
    assert catches(41, signal.SIGUSR1, tmp_path)
    assert not catches(41, signal.SIGTERM, tmp_path)


def test_this_process_is_found_by_its_own_socket() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        assert listening_process(listening.getsockname()[1]) == os.getpid()
    assert catches(os.getpid(), signal.SIGINT)
