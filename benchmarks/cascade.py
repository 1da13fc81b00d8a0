"""``bench cascade``: conversations with the cascade engine of the settings, in real time on this machine."""

import argparse
import asyncio
import gc
import os
import sys
from collections.abc import Sequence

import numpy as np

from benchmarks.cascade_caller import LOUD, AskingCaller
from benchmarks.cascade_parts import TimedParts
from benchmarks.cascade_report import CascadeReport, PartSpeed, Turns, speed_of
from personaplex_ui.audio.frames import Samples
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.config.settings import Settings
from personaplex_ui.engine.engine import Engine, EngineState
from personaplex_ui.engine.speech_model import Persona, Sampling
from personaplex_ui.errors import PersonaplexError
from personaplex_ui.models.cascade.load import cascade_of, load_parts
from personaplex_ui.models.cascade.said_before import SaidBefore
from personaplex_ui.models.factory import speech_sources
from personaplex_ui.speech.loading import SpeechParts
from personaplex_ui.speech.work.workers import less_urgently

SUMMARY = "the cascade engine: turn latency, gaps and the speed of its parts, at 1 and 4 calls"
CALLS = (1, 4)
APART_SEC = 0.5

ROLE = (
    "You work for City Bikes, a bicycle rental, and your name is Alex. We open at eight in the morning and "
    "close at seven. A city bike costs twelve dollars a day, an electric bike thirty. Helmets are free. "
    "We are at 20 Harbour Street."
)
QUESTIONS = (
    "When do you open in the morning?",
    "How much is an electric bike for a day?",
    "Where can I find you?",
    "What does a helmet cost?",
)
ASKED_BY, ANSWERED_BY = "VARM2", "NATF2"
"""Voices of the callers and of the assistant."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--seconds", type=_seconds, default=60.0, help="measured at each number of calls (60)"
    )


async def measure(given: argparse.Namespace) -> CascadeReport:
    """Measure each number of calls in turn, on one engine, with questions that its own voice asks."""
    settings = Settings.from_mapping(os.environ)
    parts, made_of = await asyncio.to_thread(
        less_urgently, lambda: load_parts(SpeechParts(speech_sources(settings)), _show)
    )
    questions = [trimmed(parts.synthesiser.synthesise(text, ASKED_BY)) for text in QUESTIONS]
    timed = TimedParts(parts)
    model = cascade_of(timed.measured, max(CALLS), said_before=SaidBefore(kept_samples=0))
    engine = Engine(lambda report: model, max(CALLS))
    await engine.start()
    while engine.state is EngineState.LOADING:  # noqa: ASYNC110  there is no event, and it loads at once
        await asyncio.sleep(0.01)
    turns: list[Turns] = []
    speeds: list[PartSpeed] = []
    try:
        for calls in CALLS:
            for times in (timed.recognition, timed.replies, timed.synthesis):
                times.clear()
            turns.append(await measure_turns(engine, questions, calls, given.seconds))
            speeds += [
                speed_of("recognition", calls, timed.recognition),
                speed_of("first sentence", calls, timed.replies),
                speed_of("synthesis", calls, timed.synthesis),
            ]
    finally:
        await engine.close()
    return CascadeReport(" ".join(made_of.reasons), given.seconds, tuple(turns), tuple(speeds))


async def measure_turns(engine: Engine, questions: Sequence[Samples], calls: int, seconds: float) -> Turns:
    """``calls`` callers who ask all the time, for ``seconds``."""
    gc.collect()
    settings = CallSettings(Persona(ANSWERED_BY, ROLE), Sampling(seed=1), record=False)
    callers = [
        AskingCaller(engine, settings, [*questions[number:], *questions[:number]]) for number in range(calls)
    ]
    try:
        for caller in callers:
            await caller.start()
            await asyncio.sleep(APART_SEC)
        await asyncio.sleep(seconds)
        stats = [caller.call.snapshot().stats for caller in callers]
    finally:
        for caller in callers:
            await caller.stop()
    latencies_ms = [1_000 * sec for caller in callers for sec in caller.latencies_sec]
    if not latencies_ms:
        raise PersonaplexError("No question was answered. Measure for longer, or look at the log.")
    return Turns(
        calls,
        len(latencies_ms),
        sum(caller.unanswered for caller in callers),
        float(np.percentile(latencies_ms, 50)),
        float(np.percentile(latencies_ms, 95)),
        1_000 * max(sec for caller in callers for sec in caller.late_sec),
        sum(each.dropped_heard for each in stats),
        sum(each.dropped_said for each in stats),
    )


def trimmed(samples: Samples) -> Samples:
    """``samples`` from the first to the last that is heard."""
    loud = np.flatnonzero(np.abs(samples) > LOUD)
    return samples[loud[0] : loud[-1] + 1] if len(loud) else samples


def _show(sentence: str, progress: float) -> None:
    print(f"{sentence} ({100 * progress:.0f} %)", file=sys.stderr)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 5.0 <= seconds <= 3_600.0:
        raise argparse.ArgumentTypeError("must be from 5 to 3600")
    return seconds
