"""``bench soak``: calls of mixed kinds at once, for minutes, against the app on the echo engine."""

import argparse
from collections.abc import Callable
from pathlib import Path

from personaplex_ui.bench.soak.soak_report import SoakReport, report_on
from personaplex_ui.calls.snapshot import Transport

SUMMARY = "calls of mixed kinds at once against the app on the echo engine, for minutes"

KINDS = (Transport.BROWSER, Transport.MOSHI, Transport.TWILIO, Transport.CLIP)
MOST_CALLS = 64


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=_whole(6, 80_000), default=600, help="of talking (600)")
    parser.add_argument("--calls", type=_whole(1, MOST_CALLS), default=8, help="at once (8)")
    parser.add_argument("--kinds", type=_kinds, default=KINDS, help="browser,moshi,twilio,clip (all)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments at which callers speak (1)")
    parser.add_argument("--app", type=Path, help="the script that serves (the app's own)")


async def measure(given: argparse.Namespace) -> SoakReport:
    """Start the app, soak it, end it.

    Raises:
        PersonaplexError: the app does not start, or a call does not come about.
    """
    # The other commands need no WebRTC, whose import takes a second.
    from personaplex_ui.bench.soak.server_process import APP, running_server
    from personaplex_ui.bench.soak.soaking import soak

    async with running_server(given.calls, given.seconds, given.app or APP) as running:
        return report_on(await soak(running, given.calls, given.kinds, given.seconds, given.seed))


def _kinds(text: str) -> tuple[Transport, ...]:
    names = [kind.value for kind in KINDS]
    kinds = text.split(",")
    if unknown := [kind for kind in kinds if kind not in names]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(names)}")
    return tuple(Transport(kind) for kind in kinds)


def _whole(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"must be a whole number from {least} to {most:,}")
        return int(text)

    return parse
