"""The parts of a conversation when a request wants them: made off the event loop, once."""

import asyncio
import functools
import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

from personaplex_ui.errors import EngineUnavailable
from personaplex_ui.speech.loading import Loaded, SpeechParts
from personaplex_ui.speech.parts import Recogniser, Replier, Synthesiser
from personaplex_ui.speech.work.jobs import JobQueue
from personaplex_ui.speech.work.workers import begin_less_urgently

T = TypeVar("T")

READY_WITHIN_SEC = 20.0
"""Longer no request waits for weights to be fetched: its client is told to come again."""


class LoadedParts:
    """``speech``, for coroutines of one event loop."""

    def __init__(self, speech: SpeechParts, ready_within_sec: float = READY_WITHIN_SEC) -> None:
        self._speech = speech
        self._ready_within_sec = ready_within_sec
        self._making: dict[str, asyncio.Future[Any]] = {}
        self._progress = ""

    @property
    def queue(self) -> JobQueue:
        """Where work with the parts waits for a thread."""
        return self._speech.queue

    async def recogniser(self) -> Loaded[Recogniser]:
        """
        Raises:
            EngineUnavailable: it is not ready yet.
            WeightsMissing, SpeechPartFailed: it cannot be had.
        """
        return await self._get("recogniser", functools.partial(self._speech.recogniser, self._report))

    async def replier(self) -> Loaded[Replier]:
        """See ``recogniser``."""
        return await self._get("replier", self._speech.replier)

    async def synthesiser(self) -> Loaded[Synthesiser]:
        """See ``recogniser``."""
        return await self._get("synthesiser", functools.partial(self._speech.synthesiser, self._report))

    async def _get(self, name: str, make: Callable[[], T]) -> T:
        # A coroutine that waited for a part in `speech` would block the event loop with it.
        made = self._making.get(name)
        if made is None:
            made = self._making[name] = asyncio.wrap_future(begin_less_urgently(make))
            made.add_done_callback(_look_at)
        done, _ = await asyncio.wait([made], timeout=self._ready_within_sec)
        if not done:
            raise EngineUnavailable(
                f"The parts of the conversation are not ready yet. {self._progress} Please try again in a "
                "minute."
            )
        if made.exception() is not None:
            self._making.pop(name, None)  # tried again the next time
        return cast(T, made.result())

    def _report(self, sentence: str, progress: float) -> None:
        """Called in the thread that makes a part."""
        self._progress = f"{sentence} ({math.floor(100 * progress)} %)"


def _look_at(made: "asyncio.Future[Any]") -> None:
    """A failure that no request waits for any more is no fault of the event loop."""
    if not made.cancelled():
        made.exception()
