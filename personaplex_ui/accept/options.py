"""The options of the command, read before any library is imported."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

DESCRIPTION = """Tries PersonaPlex on this machine before anybody calls: loads the model as the settings say,
compares it with plain moshi and with the reference, int8 with whole weights, times frames at 1 to MAX_CALLS
callers, runs all of them for half an hour, and checks the sound. No server may use the GPU meanwhile. Writes
a report with a verdict, a number and a next step for each. The exit code is 0 when nothing is a problem, 1
when something is, and 130 after Ctrl-C; the report of what was done is written in any case."""


@dataclass(frozen=True, slots=True)
class Options:
    """``frames``: compared, and timed of each kind. ``reference``: recorded cases. ``speech``: what callers
    say."""

    report: Path
    json: Path | None
    reference: Path | None
    speech: Path | None
    frames: int
    soak_minutes: float


def read_options(arguments: Sequence[str]) -> Options:
    """Exits with 2 if they are wrong."""
    parser = argparse.ArgumentParser(prog="personaplex-ui accept", description=DESCRIPTION)
    parser.add_argument(
        "--report",
        type=Path,
        default=Path("acceptance.md"),
        metavar="FILE",
        help="the report (acceptance.md)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="the same for programs")
    parser.add_argument(
        "--reference",
        type=Path,
        metavar="FOLDER",
        help="conversations recorded with NVIDIA's implementation (docs/DEPLOYMENT.md)",
    )
    parser.add_argument(
        "--speech", type=Path, metavar="FILE", help="what callers say (two sentences, by espeak-ng)"
    )
    parser.add_argument(
        "--frames",
        type=_number(int, 8, 10_000),
        default=250,
        metavar="N",
        help="frames to compare, and to time of each kind (250, which is 20 s)",
    )
    parser.add_argument(
        "--soak-minutes",
        type=_number(float, 0.0, 10_000.0),
        default=30.0,
        metavar="M",
        help="length of the soak (30); 0: none",
    )
    given = parser.parse_args(arguments)
    return Options(given.report, given.json, given.reference, given.speech, given.frames, given.soak_minutes)


def _number(kind: Callable[[str], float], least: float, most: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"must be from {least:g} to {most:,.0f}")
        return value

    return parse
