"""Runs callers of all kinds on a server, lets them talk, and records what they heard and the cost."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from itertools import cycle, islice
from typing import cast

import httpx
from websockets.exceptions import WebSocketException

from benchmarks.soak.address import Server
from benchmarks.soak.alone import delay_alone
from benchmarks.soak.callers import LiveCaller, MoshiCaller, TwilioCaller, WebRtcCaller
from benchmarks.soak.clip_caller import CLIP_SEC, ClipCaller
from benchmarks.soak.hostility import Hostility
from benchmarks.soak.listening import ANSWER_WITHIN_SEC
from benchmarks.soak.observed import Answer, Clip, LiveCall, Observed, Usage
from benchmarks.soak.own_load import OwnLoadMeter
from benchmarks.soak.server_process import ServerProcess
from benchmarks.soak.speaking import UTTERANCE_SEC
from personaplex_ui.calls.snapshot import Transport
from personaplex_ui.errors import PersonaplexError
from tests.support.clients.impairment import Impaired, Impairment, together

MIX = (
    Transport.BROWSER,
    Transport.MOSHI,
    Transport.TWILIO,
    Transport.CLIP,
    Transport.BROWSER,
    Transport.MOSHI,
    Transport.TWILIO,
    Transport.BROWSER,
)
"""Who calls, in turn: eight callers are three pages, two Moshi clients, two telephones and a clip program."""

LIVE_WITHIN_SEC = 60.0
USAGE_EVERY_SEC = 5.0
FEWEST_USAGES = 12


class LiveCalls:
    """The callers that stay on one call each, and why the calls of some of them ended."""

    def __init__(self, callers: Sequence[LiveCaller]) -> None:
        self.callers = callers
        self._ended: dict[LiveCaller, str] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def begin(self) -> None:
        """Returns when all are live. Raises PersonaplexError when one of them does not get there."""
        self._tasks = [asyncio.create_task(self._keep(caller)) for caller in self.callers]
        try:
            async with asyncio.timeout(LIVE_WITHIN_SEC):
                while not all(caller.live.is_set() for caller in self.callers):
                    for task in self._tasks:
                        if task.done():
                            task.result()  # raises unexpected errors
                    for caller, reason in self._ended.items():
                        raise PersonaplexError(f"A {caller.kind} call did not begin. {reason}")
                    await asyncio.sleep(0.05)
        except TimeoutError:
            missing = ", ".join(caller.kind for caller in self.callers if not caller.live.is_set())
            raise PersonaplexError(f"Not all calls began in {LIVE_WITHIN_SEC:.0f} s: {missing}.") from None

    async def hang_up(self) -> None:
        await _cancel(self._tasks)

    async def _keep(self, caller: LiveCaller) -> None:
        try:
            await caller.run()
            self._ended[caller] = "The server ended it."
        except* (PersonaplexError, OSError, TimeoutError, httpx.HTTPError, WebSocketException) as group:
            self._ended[caller] = _sentences(group)

    def seen(self, began_at: float, alone_sec: float) -> list[LiveCall]:
        """What they heard since ``began_at``."""
        seen: list[LiveCall] = []
        for caller in self.callers:
            listening = caller.listening
            listening.end(time.monotonic())
            answers = [Answer(a.at_sec - began_at, a.delay_sec - alone_sec) for a in listening.answers]
            seen.append(
                LiveCall(
                    caller.kind,
                    answers,
                    listening.lost_answers,
                    listening.longest_gap_sec,
                    listening.missing_sec,
                    tuple(caller.stats),
                    self._ended.get(caller, ""),
                )
            )
        return seen


async def soak(
    running: ServerProcess,
    calls: int,
    kinds: Iterable[Transport],
    seconds: float,
    seed: int,
    impairment: Impairment | None = None,
    hostility: Hostility | None = None,
) -> Observed:
    """``calls`` callers for ``seconds`` from the moment on when all live ones are. ``impairment``: of the
    network that browsers' sound goes through. ``hostility``: what is done to the server beside them. Raises
    PersonaplexError when a call does not come about, or the server is gone."""
    alone_sec = delay_alone(running.server.voice)
    live, clip_callers = _callers(running.server, calls, set(kinds), seed, impairment)
    live_calls = LiveCalls(live)
    meter = OwnLoadMeter()
    beside: list[asyncio.Task[None]] = []
    try:
        await live_calls.begin()
        began_at = time.monotonic()
        for caller in live:
            caller.listening.restart()
            caller.stats.clear()
            caller.speaker.talk()
        meter.restart()
        silent_after_sec = seconds - ANSWER_WITHIN_SEC - UTTERANCE_SEC
        runs = [meter.run(), _fall_silent(live, silent_after_sec), *(caller.run() for caller in clip_callers)]
        runs += [hostility.run()] if hostility is not None else []
        beside = [asyncio.create_task(run) for run in runs]
        usages = await _watch(running, began_at, seconds)
        seen = live_calls.seen(began_at, alone_sec)
        exceptions = running.exceptions
    finally:
        await live_calls.hang_up()
        await _cancel(beside)
    return Observed(
        seconds=seconds,
        seed=seed,
        alone_sec=alone_sec,
        calls=seen,
        clip_callers=len(clip_callers),
        clips=_clips(clip_callers, began_at),
        clip_failures=[failure for caller in clip_callers for failure in caller.failures],
        usages=usages,
        exceptions=exceptions,
        own_load=meter.load(),
        impairment=impairment,
        impaired=_impaired(live),
        hostile=hostility.seen if hostility is not None else None,
    )


def _clips(callers: Sequence[ClipCaller], began_at: float) -> list[Clip]:
    return [Clip(one.at_sec - began_at, one.took_sec, CLIP_SEC) for each in callers for one in each.answered]


def _impaired(live: Sequence[LiveCaller]) -> Impaired | None:
    done = [each.relay.done for each in live if isinstance(each, WebRtcCaller) and each.relay is not None]
    return together(done) if done else None


def _callers(
    server: Server, calls: int, kinds: set[Transport], seed: int, impairment: Impairment | None
) -> tuple[list[LiveCaller], list[ClipCaller]]:
    """The mix, limited to the requested kinds. The first page, and every second one, records its call."""
    live: list[LiveCaller] = []
    clips: list[ClipCaller] = []
    pages = 0
    for number, kind in enumerate(islice(cycle(k for k in MIX if k in kinds), calls)):
        caller_seed = 1_000 * seed + number
        match kind:
            case Transport.MOSHI:
                live.append(MoshiCaller(server, caller_seed))
            case Transport.TWILIO:
                live.append(TwilioCaller(server, caller_seed))
            case Transport.CLIP:
                clips.append(ClipCaller(server, caller_seed))
            case _:
                live.append(WebRtcCaller(server, caller_seed, record=pages % 2 == 0, impairment=impairment))
                pages += 1
    return live, clips


async def _fall_silent(callers: Sequence[LiveCaller], after_sec: float) -> None:
    """What is said now can still be answered before the end."""
    await asyncio.sleep(after_sec)
    for caller in callers:
        caller.speaker.fall_silent()


async def _watch(running: ServerProcess, began_at: float, seconds: float) -> list[Usage]:
    """Look at the server's process from time to time until the end, and at the end."""
    every_sec = min(USAGE_EVERY_SEC, seconds / FEWEST_USAGES)
    usages: list[Usage] = []
    while True:
        now_sec = time.monotonic() - began_at
        usages.append(await running.usage(now_sec))
        if now_sec >= seconds:
            return usages
        next_sec = min(seconds, every_sec * len(usages))
        await asyncio.sleep(max(0.0, next_sec - (time.monotonic() - began_at)))


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Raises any error of the task."""
    for task in tasks:
        task.cancel()
    for ended in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(ended, Exception):
            raise ended


def _sentences(error: BaseException) -> str:
    """What an error says; of a group, what each of its members says."""
    if isinstance(error, BaseExceptionGroup):
        members = cast(BaseExceptionGroup[BaseException], error).exceptions
        return "; ".join(_sentences(member) for member in members)
    return str(error) or type(error).__name__
