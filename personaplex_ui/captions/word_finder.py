"""Has what one caller says recognised, utterance by utterance. A call never waits for it: what comes too fast
is dropped."""

import asyncio
import contextvars
import logging
from collections import deque

from personaplex_ui.audio.frames import Frame
from personaplex_ui.calls.captions import TellWords
from personaplex_ui.captions.utterances import Spoken, UtteranceFinder
from personaplex_ui.speech.loading import Loaded
from personaplex_ui.speech.parts import Recogniser, SpeechPartFailed
from personaplex_ui.speech.work.awaiting import result_of
from personaplex_ui.speech.work.jobs import JobQueue

log = logging.getLogger(__name__)

MOST_WAITING = 4
"""Utterances that wait while one is recognised; of more, the oldest is dropped. 12 MB at most."""

CHARACTERS_PER_SEC, SPARE_CHARACTERS = 40, 100
"""The most that is taken for what somebody said: fast speech has 20 characters a second."""

MOST_TOLD = 10
"""Different failures of one call in the log."""

BEHIND = "Speech cannot be recognised as fast as the caller speaks, so some of it gets no words."
TOO_MUCH = "More text was recognised than anybody can say in that time, so it was left out."


class CallWordFinder:
    """See ``WordFinder``. ``tell`` gets each utterance's words with a space before them, in their order."""

    def __init__(
        self,
        recogniser: Loaded[Recogniser],
        queue: JobQueue,
        role: str,
        tell: TellWords,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self.dropped = 0
        self._recogniser = recogniser
        self._queue = queue
        self._owner = queue.new_owner()
        self._role = role
        self._tell = tell
        self._most_waiting = most_waiting
        self._utterances = UtteranceFinder()
        self._waiting: deque[Spoken] = deque()
        self._working: asyncio.Task[None] | None = None
        self._context = contextvars.copy_context()  # of the call, whose name is in the log's lines
        self._change = asyncio.Event()
        """Set when something may have settled, and then replaced by a new event."""
        self._was_in_pause = False
        self._finished = False
        self._closed = False
        self._logged: set[str] = set()

    def hear(self, frame: Frame, start_sec: float) -> None:
        """Take the caller's next frame; see ``WordFinder``."""
        if self._finished:
            return
        self._take(self._utterances.hear(frame, start_sec))
        if self._was_in_pause and not self._utterances.in_pause:
            self._changed()
        self._was_in_pause = self._utterances.in_pause

    def finish(self) -> None:
        if not self._finished:
            self._finished = True
            self._take(self._utterances.finish())
            self._changed()

    def close(self) -> None:
        self._finished = self._closed = True
        self._waiting.clear()
        if self._working is not None:
            self._working.cancel()
        self._changed()

    async def settled(self) -> None:
        while not self._is_settled:
            await self._change.wait()

    @property
    def _is_settled(self) -> bool:
        if self._closed:
            return True
        in_pause = self._utterances.in_pause and not self._finished
        return self._working is None and not in_pause

    def _take(self, spoken: Spoken | None) -> None:
        if spoken is None or self._closed:
            return
        self._waiting.append(spoken)
        if len(self._waiting) > self._most_waiting:
            self._waiting.popleft()
            self._drop(BEHIND)
        if self._working is None:
            work = self._recognise_all()
            self._working = asyncio.get_running_loop().create_task(work, context=self._context)

    async def _recognise_all(self) -> None:
        try:
            while self._waiting:
                spoken = self._waiting.popleft()
                try:
                    text = await self._recognise(spoken)
                except SpeechPartFailed as failure:
                    self._drop(str(failure))
                else:
                    if text:
                        self._tell(f" {text}", spoken.start_sec, spoken.end_sec)
        finally:
            self._working = None
            self._changed()

    async def _recognise(self, spoken: Spoken) -> str:
        recogniser, samples, role = self._recogniser.part, spoken.samples, self._role
        job = self._queue.submit(
            self._owner,
            lambda: recogniser.recognise(samples, role),
            heavy=not self._recogniser.remote,
            urgent=False,
        )
        recognised = await result_of(job)
        text = "" if recognised.doubtful else recognised.text
        said_sec = spoken.end_sec - spoken.start_sec
        if len(text) > SPARE_CHARACTERS + CHARACTERS_PER_SEC * said_sec:
            raise SpeechPartFailed(TOO_MUCH)
        return text

    def _drop(self, why: str) -> None:
        """Count an utterance without words, and log the reason, once in a call if it is always the same."""
        self.dropped += 1
        if why not in self._logged and len(self._logged) < MOST_TOLD:
            self._logged.add(why)
            self._context.copy().run(log.warning, "Captions: %s", why)

    def _changed(self) -> None:
        self._change.set()
        self._change = asyncio.Event()
