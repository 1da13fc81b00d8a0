"""What the parts of a conversation do for one request, as jobs in the queue of this process."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples
from personaplex_ui.channels.rest.loaded_parts import LoadedParts
from personaplex_ui.channels.rest.values import TokenBudget
from personaplex_ui.errors import EngineUnavailable
from personaplex_ui.speech.loading import Loaded
from personaplex_ui.speech.parts import Recognised, SpeechPartFailed, Turn
from personaplex_ui.speech.short_sentences import short_enough
from personaplex_ui.speech.work.awaiting import result_of
from personaplex_ui.speech.work.sentences import SharedSentences

log = logging.getLogger(__name__)

P = TypeVar("P")
T = TypeVar("T")

LINES_AHEAD = 3
"""Sentences whose sound is made, or waits to be sent, at once."""

MOST_SENTENCES = 40
MOST_ANSWER_SEC = 180.0
"""Of one answer; more is cut off after a sentence."""

NOT_HEARD = "The words cannot be made out just now. Please try again in a moment."
NO_ANSWER = "There is no answer just now. Please try again in a moment."
NO_SOUND = "The answer cannot be said just now. Please try again in a moment."


@dataclass(frozen=True, slots=True)
class Spoken:
    """A sentence of an answer. ``samples``: float32, 24 kHz, ``[n]``; ``made_in_sec``: how long it took to
    make them."""

    text: str
    samples: Samples
    made_in_sec: float


class RequestWork:
    """The jobs of one request, under an owner of its own, so that requests take turns.

    What takes long is not urgent: one place of the queue stays free for callers, who wait in silence.
    """

    def __init__(self, parts: LoadedParts, role: str = "", voice: str = "") -> None:
        self._parts = parts
        self._queue = parts.queue
        self._role = role
        self._voice = voice
        self._owner = parts.queue.new_owner()
        self.reply_sec = 0.0
        """Spent on waiting for the replier."""

    async def recognise(self, samples: Samples, language: str) -> Recognised:
        """
        Raises:
            EngineUnavailable: it could not be done.
        """
        recogniser = await self._parts.recogniser()
        return await self._done(
            recogniser, lambda: recogniser.part.recognise(samples, self._role, language), NOT_HEARD
        )

    async def sentences(self, turns: Sequence[Turn], budget: TokenBudget) -> AsyncGenerator[str]:
        """The answer to the last of ``turns``, as it arrives. Close it.

        Raises:
            EngineUnavailable: it could not be found.
        """
        replier = await self._parts.replier()
        source = SharedSentences(lambda: replier.part.reply(self._role, turns))
        count = 0
        try:
            while count < MOST_SENTENCES:
                began = time.monotonic()
                sentence = await self._done(replier, source.next, NO_ANSWER, urgent=True)
                self.reply_sec += time.monotonic() - began
                if sentence is None:
                    return
                for text in short_enough(sentence):
                    if count == MOST_SENTENCES or not (fits := budget.fit(text)):
                        return
                    count += 1
                    yield fits
        finally:
            self._queue.submit(self._owner, source.close, heavy=False)

    async def spoken(self, turns: Sequence[Turn], budget: TokenBudget) -> AsyncGenerator[Spoken]:
        """Like ``sentences``, each with its sound; the next ones are made meanwhile."""
        synthesiser = await self._parts.synthesiser()
        texts = self.sentences(turns, budget)

        async def say(text: str) -> Spoken:
            def make() -> tuple[Samples, float]:
                began = time.monotonic()
                return synthesiser.part.synthesise(text, self._voice), time.monotonic() - began

            return Spoken(text, *await self._done(synthesiser, make, NO_SOUND))

        fetching = asyncio.create_task(_next_of(texts))
        lines: deque[asyncio.Task[Spoken]] = deque()
        has_more, left_sec = True, MOST_ANSWER_SEC
        try:
            while (has_more or lines) and left_sec > 0.0:
                wanted = [fetching] if has_more and len(lines) < LINES_AHEAD else []
                await asyncio.wait([*wanted, *list(lines)[:1]], return_when=asyncio.FIRST_COMPLETED)
                if wanted and fetching.done():
                    text = fetching.result()
                    has_more = text is not None
                    if text is not None:
                        lines.append(asyncio.create_task(say(text)))
                        fetching = asyncio.create_task(_next_of(texts))
                if lines and lines[0].done():
                    line = lines.popleft().result()
                    left_sec -= len(line.samples) / SAMPLE_RATE_HZ
                    yield line
        finally:
            for task in (fetching, *lines):
                task.cancel()
            await asyncio.gather(fetching, *lines, return_exceptions=True)
            await texts.aclose()

    async def _done(self, part: Loaded[P], work: Callable[[], T], sentence: str, urgent: bool = False) -> T:
        job = self._queue.submit(self._owner, work, heavy=not part.remote, urgent=urgent)
        try:
            return await result_of(job)
        except SpeechPartFailed as failure:
            log.warning("A part of the conversation failed: %s", failure)
            raise EngineUnavailable(sentence) from failure


async def _next_of(texts: AsyncGenerator[str]) -> str | None:
    return await anext(texts, None)
