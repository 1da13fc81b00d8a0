import os
import subprocess
import sys

import numpy as np
import pytest

from personaplex_ui.audio.frames import FRAME_SEC
from personaplex_ui.audio.levels import SILENCE_DBFS, Segment, rms_dbfs, speech_segments

LOUD, SOFT = -20.0, -80.0


def levels(pattern: str) -> list[float]:
    """``x`` is a loud frame, ``.`` a soft one."""
    return [LOUD if mark == "x" else SOFT for mark in pattern]


def frames_of(segments: list[Segment]) -> list[tuple[int, int]]:
    return [(round(s.start_sec / FRAME_SEC), round(s.end_sec / FRAME_SEC)) for s in segments]


@pytest.mark.parametrize(
    ("amplitude", "dbfs"),
    [(1.0, 0.0), (0.5, -6.02), (0.1, -20.0), (1e-4, -80.0), (1e-5, -100.0), (0.0, -100.0)],
)
def test_level_of_steady_sound(amplitude: float, dbfs: float) -> None:
    sound = np.full(1_920, amplitude, dtype=np.float32)
    assert rms_dbfs(sound) == pytest.approx(dbfs, abs=0.01)
    assert rms_dbfs(-sound) == rms_dbfs(sound)


def test_a_full_scale_sine_is_3_db_below_full_scale() -> None:
    sine = np.sin(2 * np.pi * np.arange(1_920) / 48).astype(np.float32)
    assert rms_dbfs(sine) == pytest.approx(-3.01, abs=0.01)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_sound_is_silence(bad: float) -> None:
    assert rms_dbfs(np.zeros(0, dtype=np.float32)) == SILENCE_DBFS
    assert rms_dbfs(np.array([0.5, bad], dtype=np.float32)) == SILENCE_DBFS


def test_huge_samples_do_not_overflow() -> None:
    assert rms_dbfs(np.full(10, 1e30, dtype=np.float32)) == pytest.approx(600, abs=0.01)


@pytest.mark.parametrize(
    ("pattern", "segments"),
    [
        ("", []),
        ("......", []),
        ("xxxxx", [(0, 5)]),
        ("..xxx..", [(2, 5)]),
        ("xx...xx", [(0, 7)]),  # three soft frames are bridged
        ("xx....xx", [(0, 2), (6, 8)]),  # four are a pause
        ("..x....", []),  # a click
        ("x....xx....x", [(5, 7)]),
        ("x..x", [(0, 4)]),
        ("....xx", [(4, 6)]),
    ],
)
def test_segments(pattern: str, segments: list[tuple[int, int]]) -> None:
    assert frames_of(speech_segments(levels(pattern))) == segments


def test_the_limits_are_the_callers_choice() -> None:
    assert frames_of(speech_segments(levels("xx.xx"), min_gap_frames=1)) == [(0, 2), (3, 5)]
    assert frames_of(speech_segments(levels("xx.xx"), min_gap_frames=0)) == [(0, 2), (3, 5)]
    assert frames_of(speech_segments(levels("x....xx"), min_frames=1)) == [(0, 1), (5, 7)]
    assert frames_of(speech_segments(levels("xxxxx"), min_frames=6)) == []
    assert frames_of(speech_segments([-45.0, -45.0, -45.1], min_frames=1)) == [(0, 2)]
    assert frames_of(speech_segments(levels("xx.."), threshold_dbfs=-90.0)) == [(0, 4)]


WAKES_A_THREAD = 100_000
"""Samples for whose product OpenBLAS takes a second thread."""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("work", "wakes"), [("rms_dbfs(sound)", False), ("np.dot(exact, exact)", True)])
def test_measuring_long_sound_wakes_no_thread(work: str, wakes: bool) -> None:
    """One that OpenBLAS has woken spins for a tenth of a second: a quarter of a core for twelve callers."""
    program = f"""
import os, time
from pathlib import Path
import numpy as np
from personaplex_ui.audio.levels import rms_dbfs
def ticks_of_others():
    time.sleep(0.5)
    tasks = [task for task in Path("/proc/self/task").iterdir() if task.name != str(os.getpid())]
    return sum(int((task / "stat").read_text().rpartition(")")[2].split()[11]) for task in tasks)
sound, exact = np.ones({WAKES_A_THREAD}, dtype=np.float32), np.ones({WAKES_A_THREAD})
before = ticks_of_others()
for _ in range(20):
    {work}
print(ticks_of_others() - before)
"""
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True)
    assert (int(run.stdout) > 0) is wakes
