"""``bench jitter``: aiortc's jitter buffer and ours beside each other, each behind the same bad network."""

import argparse
import asyncio

from benchmarks.jitter_report import JitterReport
from benchmarks.soak.command import add_network_arguments, impairment_of
from benchmarks.soak.own_load import OwnLoadMeter

SUMMARY = "what aiortc's jitter buffer and ours add to the delay, with and without loss"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=_seconds, default=20.0, help="measured, both at once (20)")
    parser.add_argument("--seed", type=int, default=1, help="of the network (1)")
    add_network_arguments(parser, "the")


async def measure(given: argparse.Namespace) -> JitterReport:
    """Raises PersonaplexError: there is no network interface that can be used."""
    # The other commands need no WebRTC, whose import takes a second.
    from benchmarks.jitter_peers import measure_buffer

    impairment, meter = impairment_of(given), OwnLoadMeter()
    metering = asyncio.create_task(meter.run())
    try:
        theirs, ours = await asyncio.gather(
            *(measure_buffer(name, impairment, given.seed, given.seconds) for name in ("aiortc", "ours"))
        )
    finally:
        metering.cancel()
    return JitterReport(given.seconds, given.seed, impairment, theirs, ours, meter.load().late_p95_ms)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 5.0 <= seconds <= 3_600.0:
        raise argparse.ArgumentTypeError("must be from 5 to 3600")
    return seconds
