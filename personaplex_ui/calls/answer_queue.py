"""The assistant's answers on their way to the caller: what is for the server is taken out, the text is told
at once, and the sound waits until the transport takes it. Everything runs on the event loop."""

import asyncio
from collections.abc import Callable

from personaplex_ui.audio.frame_queue import FrameQueue
from personaplex_ui.calls.cue_filter import CueFilter
from personaplex_ui.calls.cues import Cue, Cues
from personaplex_ui.engine.speech_model import Answer
from personaplex_ui.errors import CallOver


class AnswerQueue:
    """``playout``: holds answers with the time at which each was put; ``say``: gets the text that is for the
    caller, which may be empty."""

    def __init__(
        self,
        playout: FrameQueue[tuple[float, Answer]],
        cues: Cues,
        say: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        self.on_cue: list[Callable[[Cue], None]] = []
        """Called when the assistant has given a cue."""
        self._playout = playout
        self._filter = CueFilter(cues) if cues.ask or cues.human else None
        self._say = say
        self._clock = clock
        self._playable = asyncio.Event()
        self._closed_because: str | None = None

    def __len__(self) -> int:
        return len(self._playout)

    @property
    def dropped(self) -> int:
        return self._playout.dropped

    def put(self, answer: Answer) -> None:
        cues: tuple[Cue, ...] = ()
        if self._filter is not None:
            filtered = self._filter.feed(answer)
            self._say(filtered.late)
            answer, cues = filtered.answer, filtered.cues
        self._say(answer.text)
        self._playout.put((self._clock(), answer))
        self._playable.set()
        for cue in cues:
            for listener in self.on_cue:
                listener(cue)

    def finish(self) -> None:
        """There are no more answers: say what was held back."""
        if self._filter is not None:
            self._say(self._filter.finish())

    def close(self, reason: str) -> None:
        """The call is over. What is in the queue may still be taken."""
        self._closed_because = reason
        self._playable.set()

    async def take(self, timeout_sec: float | None) -> tuple[float, Answer] | None:
        """The oldest answer, with the time at which it was put, as soon as there is one; None after
        ``timeout_sec``.

        Raises:
            CallOver: the queue is closed and empty.
        """
        try:
            async with asyncio.timeout(timeout_sec):
                while not len(self._playout):
                    if self._closed_because is not None:
                        raise CallOver(self._closed_because)
                    self._playable.clear()
                    await self._playable.wait()
        except TimeoutError:
            return None
        return self._playout.take()
