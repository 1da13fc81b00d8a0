"""A live call while ten personas are prepared beside it, on the app's own engine and in real time."""

import asyncio
import time
from typing import cast

from benchmarks.caller import Caller
from benchmarks.ticks.block import Block, Cell, percentile
from benchmarks.ticks.random_model import PERSONA, random_model
from benchmarks.ticks.setup import TickSetup, say
from benchmarks.timed_model import TimedModel
from personaplex_ui.audio.frames import FRAME_SEC
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.engine.engine import Engine, EngineState
from personaplex_ui.engine.speech_model import Persona, Sampling, SpeechModel

PERSONAS = 10
ALONE_SEC = 8.0
SLOTS = 4


async def measure(setup: TickSetup) -> Block:
    rows: list[tuple[Cell, ...]] = []
    notes: list[str] = []
    for weights in setup.weights:
        alone, beside, seconds = await _measured(setup, weights)
        rows.append((f"{weights}, alone", *alone))
        rows.append((f"{weights}, while {PERSONAS} are prepared", *beside))
        usual, longest = percentile(seconds, 0.5), max(seconds)
        notes.append(f"{weights}: a persona is ready after {usual:.2f} s, at most {longest:.2f} s.")
    ticks, answers = ("tick p50 ms", "p99", "max", "over 80 ms"), ("answer p50 ms", "p99", "dropped")
    return Block("personas", ("a live call", "frames", *ticks, *answers), tuple(rows), tuple(notes))


async def _measured(setup: TickSetup, weights: str) -> tuple[list[Cell], list[Cell], list[float]]:
    with random_model(setup, SLOTS, weights, capture=True) as model:
        timed = TimedModel(cast(SpeechModel, model))
        engine = Engine(lambda report: timed, SLOTS)
        await engine.start()
        while engine.state is EngineState.LOADING:  # noqa: ASYNC110  there is no event
            await asyncio.sleep(0.01)
        try:
            return await _live(engine, timed, setup)
        finally:
            await engine.close()


async def _live(
    engine: Engine, timed: TimedModel, setup: TickSetup
) -> tuple[list[Cell], list[Cell], list[float]]:
    live = Caller(engine, _settings(PERSONA, setup.seed), 0.0)
    await live.start()
    await asyncio.sleep(1.0)
    _forget(live, timed)
    await asyncio.sleep(ALONE_SEC)
    alone = _figures(live, timed, 0)
    dropped = _dropped(live)
    _forget(live, timed)
    seconds: list[float] = []
    for number in range(PERSONAS):
        say(f"Preparing persona {number + 1} of {PERSONAS} ...")
        persona = Persona(PERSONA.voice, f"{PERSONA.text_prompt} {number}")
        other = Caller(engine, _settings(persona, number), 0.0)
        started = time.perf_counter()
        await other.start()
        seconds.append(time.perf_counter() - started)
        await other.stop()
    beside = _figures(live, timed, dropped)
    await live.stop()
    return alone, beside, seconds


def _settings(persona: Persona, seed: int) -> CallSettings:
    return CallSettings(persona, Sampling(seed=seed), record=False)


def _forget(live: Caller, timed: TimedModel) -> None:
    live.latencies_sec.clear()
    timed.step_sec.clear()


def _dropped(live: Caller) -> int:
    stats = live.call.snapshot().stats
    return stats.dropped_heard + stats.dropped_said


def _figures(live: Caller, timed: TimedModel, dropped_before: int) -> list[Cell]:
    ticks = [1_000 * sec for times in timed.step_sec.values() for sec in times]
    answers = [1_000 * sec for sec in live.latencies_sec]
    late = sum(ms > 1_000 * FRAME_SEC for ms in ticks)
    if not ticks or not answers:
        return [0, *[None] * 6, _dropped(live) - dropped_before]
    return [
        len(answers),
        percentile(ticks, 0.5),
        percentile(ticks, 0.99),
        max(ticks),
        late,
        percentile(answers, 0.5),
        percentile(answers, 0.99),
        _dropped(live) - dropped_before,
    ]
