"""``bench face``: how fast the video of a face is made on this machine, by one thread."""

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.report import aligned, machine
from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples
from personaplex_ui.face.drawing import SIZE
from personaplex_ui.face.motion import PICTURES_PER_SEC
from personaplex_ui.face.movie import encoder, write_face

SUMMARY = "the video of a face: real time factor and size"
SYLLABLES_PER_SEC = 4.0
WARM_UP_SEC = 1.0


@dataclass(frozen=True, slots=True)
class FaceReport:
    """``real_time_factor``: how long a second of video takes; ``core_sec_per_sec``: of one core for it."""

    encoder: str
    seconds: float
    real_time_factor: float
    core_sec_per_sec: float
    kbit_per_sec: float

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    def to_table(self) -> str:
        rows = [
            ("encoder", self.encoder),
            ("video", f"{self.seconds:.0f} s, {SIZE} x {SIZE}, {PICTURES_PER_SEC} pictures a second"),
            ("real time factor", f"{self.real_time_factor:.3f}"),
            ("core seconds a second", f"{self.core_sec_per_sec:.3f}"),
            ("bit rate", f"{self.kbit_per_sec:.0f} kbit/s"),
        ]
        return "\n".join([f"The video of a face on {machine()}", *aligned(rows, left=2)])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=_seconds, default=30.0, help="of video (30)")


async def measure(given: argparse.Namespace) -> FaceReport:
    """Make a video of ``seconds`` of sound that rises and falls like syllables."""
    return await asyncio.to_thread(_measure, given.seconds)


def _measure(seconds: float) -> FaceReport:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "face.mp4"
        write_face(path, _syllables(WARM_UP_SEC))  # draws the parts that stay as they are
        began, used = time.perf_counter(), time.process_time()
        made_sec = write_face(path, _syllables(seconds))
        took_sec, used_sec = time.perf_counter() - began, time.process_time() - used
        kbit = path.stat().st_size * 8e-3
        return FaceReport(encoder(), made_sec, took_sec / made_sec, used_sec / made_sec, kbit / made_sec)


def _syllables(seconds: float) -> Iterator[Samples]:
    """Second by second."""
    random = np.random.default_rng(1)
    for second in range(max(1, round(seconds))):
        sec = second + np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
        loudness = 0.3 * np.sin(np.pi * SYLLABLES_PER_SEC * sec) ** 2
        voice = np.sign(np.sin(2 * np.pi * (140 + 20 * np.sin(sec)) * sec)) + random.normal(0, 0.3, len(sec))
        yield (loudness * voice).astype(np.float32)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 1.0 <= seconds <= 3_600.0:
        raise argparse.ArgumentTypeError("must be from 1 to 3600")
    return seconds
