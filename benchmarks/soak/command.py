"""``bench soak``: calls of mixed kinds at once, for minutes, against the app on the echo engine."""

import argparse
from pathlib import Path

from benchmarks.options import whole
from benchmarks.soak.soak_report import SoakReport, report_on
from personaplex_ui.calls.snapshot import Transport
from personaplex_ui.errors import PersonaplexError
from tests.support.clients.impairment import Impairment

SUMMARY = "calls of mixed kinds at once against the app on the echo engine, for minutes"

KINDS = (Transport.BROWSER, Transport.MOSHI, Transport.TWILIO, Transport.CLIP)
MOST_CALLS = 64


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=whole(6, 80_000), default=600, help="of talking (600)")
    parser.add_argument("--calls", type=whole(1, MOST_CALLS), default=8, help="at once (8)")
    parser.add_argument("--kinds", type=_kinds, default=KINDS, help="browser,moshi,twilio,clip (all)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments at which callers speak (1)")
    parser.add_argument("--app", type=Path, help="the script that serves (the app's own)")
    parser.add_argument("--hostile", action="store_true", help="beside clients that attack the server")
    add_network_arguments(parser, "browsers'")


def add_network_arguments(parser: argparse.ArgumentParser, whose: str) -> None:
    """``whose`` packets are lost and delayed."""
    parser.add_argument("--loss", type=_part, default=0.0, help=f"of {whose} packets, as 0.01 or 1%% (0)")
    parser.add_argument("--jitter", type=whole(0, 1_000), default=0, help=f"of {whose} packets, in ms (0)")
    parser.add_argument("--burst", type=whole(0, 500), default=0, help="packets lost in a row every 10 s (0)")


def impairment_of(given: argparse.Namespace) -> Impairment:
    return Impairment(given.loss, given.jitter / 1_000, given.burst)


async def measure(given: argparse.Namespace) -> SoakReport:
    """Start the app, soak it, end it.

    Raises:
        PersonaplexError: the app does not start, or a call does not come about.
    """
    # The other commands need no WebRTC, whose import takes a second.
    from benchmarks.soak.hostility import Hostility
    from benchmarks.soak.server_process import APP, running_server
    from benchmarks.soak.soaking import soak

    impairment = impairment_of(given) or None
    if impairment is not None and Transport.BROWSER not in given.kinds:
        raise PersonaplexError(
            "--loss, --jitter and --burst are for browsers: leave out --kinds, or name browser."
        )
    async with running_server(given.calls, given.seconds, given.app or APP) as running:
        hostility = Hostility(running.server.url, given.seconds) if given.hostile else None
        seen = await soak(running, given.calls, given.kinds, given.seconds, given.seed, impairment, hostility)
        return report_on(seen)


def _kinds(text: str) -> tuple[Transport, ...]:
    names = [kind.value for kind in KINDS]
    kinds = text.split(",")
    if unknown := [kind for kind in kinds if kind not in names]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(names)}")
    return tuple(Transport(kind) for kind in kinds)


def _part(text: str) -> float:
    """``0.05`` or ``5%``."""
    try:
        part = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        part = -1.0
    if not 0.0 <= part <= 0.9:
        raise argparse.ArgumentTypeError("must be from 0 to 0.9, or from 0% to 90%")
    return part
