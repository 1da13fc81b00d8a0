"""The end of a process, seen from outside."""

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import atexit, pathlib, sys, tempfile, threading
from personaplex_ui.app.process_end import end_process, run_exit_handlers

class Kept:
    def __del__(self):
        print("taken apart", flush=True)

kept = Kept()
kept.itself = kept
folder = pathlib.Path(sys.argv[1])
atexit.register((folder / "ours").touch)
removed = tempfile.TemporaryDirectory(dir=folder)
threading.Thread(target=threading.Event().wait).start()
sys.stdout.write("the last words")
{how}
"""


def ended(folder: Path, how: str) -> tuple[int, str, list[str]]:
    """The status, what it said, and what is in ``folder`` then."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(how=how), str(folder)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr, [path.name for path in folder.iterdir()]


def test_nothing_is_lost_and_nothing_is_waited_for(tmp_path: Path) -> None:
    assert ended(tmp_path, "end_process(3)") == (3, "the last words", ["ours"])


def test_a_handler_that_fails_is_told_and_changes_nothing(tmp_path: Path) -> None:
    status, said, left = ended(tmp_path, "atexit.register(lambda: 1 / 0); end_process(0)")
    assert (status, left) == (0, ["ours"])
    assert "ZeroDivisionError" in said


def test_before_a_restart_the_handlers_run_once(tmp_path: Path) -> None:
    how = "run_exit_handlers(); (folder / 'ours').unlink(); end_process(0)"
    assert ended(tmp_path, how) == (0, "the last words", [])
