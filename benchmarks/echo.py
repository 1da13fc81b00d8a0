"""``bench echo``: calls on the echo engine. Its ticks cost little, so the rest is the app's own overhead."""

import argparse
import asyncio

from benchmarks.load import measure_load
from benchmarks.load_report import LoadReport
from benchmarks.timed_model import TimedModel
from personaplex_ui.engine.engine import Engine, EngineState
from personaplex_ui.models.echo.model import EchoModel
from personaplex_ui.voices.catalogue import CATALOGUE_PATH, load_catalogue

SUMMARY = "the echo engine at 1, 4 and 8 calls"
CALLS = (1, 4, 8)
WARM_UP_SEC = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--seconds", type=_seconds, default=10.0, help="measured at each number of calls (10)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the moments at which callers begin (1)")


async def measure(given: argparse.Namespace) -> LoadReport:
    """Measure each number of calls in turn, on one engine."""
    voices = [voice.name for voice in load_catalogue(CATALOGUE_PATH)]
    model = TimedModel(EchoModel(max(CALLS)))
    engine = Engine(lambda report: model, max(CALLS))
    await engine.start()
    while engine.state is EngineState.LOADING:  # noqa: ASYNC110  there is no event, and it loads at once
        await asyncio.sleep(0.01)
    try:
        await measure_load(engine, model, voices, 1, WARM_UP_SEC, given.seed)
        loads = [await measure_load(engine, model, voices, n, given.seconds, given.seed) for n in CALLS]
    finally:
        await engine.close()
    return LoadReport(model.name, given.seconds, given.seed, tuple(loads))


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 1.0 <= seconds <= 3_600.0:
        raise argparse.ArgumentTypeError("must be from 1 to 3600")
    return seconds
