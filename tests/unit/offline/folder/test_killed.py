"""Ten cases with PersonaPlex on the tiny checkpoint: killed twice and resumed, the folder holds the same
bytes as after a run that nobody disturbed."""

import os

os.environ["NO_TORCH_COMPILE"] = "1"

import json
import signal
import subprocess
import sys
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
import soundfile
import torch

from personaplex_ui.offline.command import main
from tests.support.heard_sounds import speech
from tests.support.parity import TINY

ROOT = Path(__file__).parents[4]
CASES = 10
OPTIONS = [
    *("--model", str(TINY), "--device", "cpu", "--dtype", "float32"),
    *("--voice-prompt", "NATF0", "--seed", "7", "--batch", "3"),
]


@pytest.fixture(autouse=True)
def _one_thread() -> None:  # pyright: ignore[reportUnusedFunction]
    torch.set_num_threads(1)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Of 0.5 to 1.1 s, at three rates."""
    root = tmp_path / "data"
    for number in range(1, CASES + 1):
        folder = root / "synthetic_user_interruption" / str(number)
        folder.mkdir(parents=True)
        rate_hz = (24_000, 16_000, 48_000)[number % 3]
        sound = speech()[number * 24_000 :][: rate_hz // 2 + number * rate_hz // 16]
        soundfile.write(folder / "input.wav", sound, rate_hz, subtype="PCM_16")
    (root / "synthetic_user_interruption" / "4" / "role.txt").write_text("Be brief.")
    return root


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def killed_after(folder: Path, answers: int) -> None:
    """Run the command as a process and kill it once it has told of so many answers."""
    command = [sys.executable, "-m", "personaplex_ui", "offline", "folder", str(folder), *OPTIONS]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "NO_TORCH_COMPILE": "1"}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        told = 0
        for line in process.stderr:
            told += line.startswith("[")
            if told == answers:
                process.kill()
                break
        process.stderr.read()
    assert process.returncode == -signal.SIGKILL


def test_a_folder_whose_run_was_killed_twice_and_one_that_was_not(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    undisturbed, alone = tmp_path / "undisturbed", tmp_path / "alone"
    copytree(data, undisturbed)
    copytree(data, alone)
    killed_after(data, 2)
    some = len(list(data.rglob("output.wav")))
    killed_after(data, 3)
    more = len(list(data.rglob("output.wav")))
    assert 2 <= some < more < CASES
    assert main(["folder", str(data), *OPTIONS]) == 0
    assert (
        f"{CASES} recordings, {more} are answered already; {CASES - more} to answer."
        in capsys.readouterr().err
    )
    assert main(["folder", str(undisturbed), *OPTIONS]) == 0
    assert contents(data) == contents(undisturbed)
    assert len(contents(data)) == 4 * CASES + 1

    # Alone instead of three at a time: the same tokens, whose sound may be rounded otherwise.
    assert main(["folder", str(alone), *OPTIONS, "--batch", "1"]) == 0
    for wav in undisturbed.rglob("output.wav"):
        other = alone / wav.relative_to(undisturbed)
        assert other.with_suffix(".json").read_bytes() == wav.with_suffix(".json").read_bytes()
        sound, same = soundfile.read(wav)[0], soundfile.read(other)[0]
        assert np.max(np.abs(sound - same)) < 2e-4
        assert np.max(np.abs(sound)) > 0.01
        words = json.loads(wav.with_suffix(".json").read_text(encoding="utf-8"))
        assert words["chunks"]
