"""Ctrl-C in a whole process: 130, one sentence, and no end that a library's threads can spoil."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).parents[3]
BEGIN = """
import atexit, os, signal, sys
from personaplex_ui.models.echo.model import EchoModel
step, steps = EchoModel.step, iter(range(1000))
def interrupted(self, heard):
    if next(steps) == 2:
        os.kill(os.getpid(), signal.SIGINT)
    return step(self, heard)
EchoModel.step = interrupted
"""
END = """
from personaplex_ui.cli import main
# As native threads do that come back to an interpreter which is ending.
atexit.register(os.abort)
sys.exit(main(sys.argv[1:]))
"""
AGAIN = """
def interrupted_again(self, slot):
    os.kill(os.getpid(), signal.SIGINT)
EchoModel.leave = interrupted_again
"""
AT_EXIT = """
from personaplex_ui.offline import command
answer = command.main
def and_at_exit(arguments):
    atexit.register(os.kill, os.getpid(), signal.SIGINT)
    return answer(arguments)
command.main = and_at_exit
"""
IGNORED = "\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
GO_ON = "Stopped; run the same command again to go on."
COMPLETE = "Stopped; answers that were complete are written. Run the command again for the others."


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "data" / "1" / "input.wav"
    path.parent.mkdir(parents=True)
    soundfile.write(path, np.zeros(24_000, dtype=np.float32), 24_000)
    return path


def ended(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, "offline", *map(str, arguments), "--engine", "echo"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("more", ["", AGAIN, AT_EXIT], ids=["once", "twice", "and at its exit"])
def test_a_folder(recording: Path, more: str) -> None:
    run = ended(BEGIN + more + END, "folder", recording.parents[1])
    assert run.returncode == 130, run.stderr
    assert run.stderr.splitlines()[-1] == GO_ON
    assert run.stderr.count(GO_ON) == 1
    assert "Traceback" not in run.stderr
    assert os.listdir(recording.parent) == ["input.wav"]


def test_several_files(recording: Path) -> None:
    files: list[object] = []
    for number in (1, 2):
        wav, text = (recording.parents[2] / f"{number}.{kind}" for kind in ("wav", "json"))
        files += ["--input-wav", recording, "--output-wav", wav, "--output-text", text]
    run = ended(BEGIN + END, *files)
    assert (run.returncode, run.stderr) == (130, f"{COMPLETE}\n")


def test_where_it_was_ignored(recording: Path) -> None:
    """As under nohup."""
    run = ended(
        BEGIN + IGNORED + END.replace("atexit.register(os.abort)", ""), "folder", recording.parents[1]
    )
    assert run.returncode == 0, run.stderr
    assert (recording.parent / "output.wav").is_file()
