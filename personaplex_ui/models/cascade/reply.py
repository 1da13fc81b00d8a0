"""One answer on its way: fetches its sentences one by one, and has each said as soon as it is known."""

from collections import deque
from collections.abc import Callable, Iterator

from personaplex_ui.models.cascade.mouth import Line
from personaplex_ui.models.cascade.parts import PartsOfCall
from personaplex_ui.speech.parts import SpeechPartFailed
from personaplex_ui.speech.short_sentences import short_enough
from personaplex_ui.speech.work.jobs import Job
from personaplex_ui.speech.work.sentences import SharedSentences

MOST_SENTENCES = 40
"""Of one answer; more is cut off."""


class Reply:
    """Sentences from ``start``, an iterator that is used in one worker at a time. ``urgent``: whether nothing
    is being said at the moment."""

    def __init__(
        self, parts: PartsOfCall, start: Callable[[], Iterator[str]], urgent: Callable[[], bool]
    ) -> None:
        self._parts = parts
        self._urgent = urgent
        self._sentences = SharedSentences(start)
        self._closed = False
        self._fetching: Job[list[Line] | None] | None = None
        self._fetched: deque[Line] = deque()
        self._count = 0
        self._ended = False

    @property
    def over(self) -> bool:
        """Whether all lines have been taken, or given up."""
        return self._ended and not self._fetched

    @property
    def working(self) -> bool:
        """Whether a worker fetches a sentence, or makes the sound of one that is here."""
        fetching = self._fetching
        if fetching is not None and fetching.under_way:
            return True
        return any(line.sound.under_way for line in (*self._fetched, *self._arrived()))

    def _arrived(self) -> list[Line]:
        """What has been fetched and not been looked at yet."""
        if self._fetching is None or not self._fetching.done:
            return []
        try:
            return self._fetching.result() or []
        except SpeechPartFailed:
            return []

    def begin(self) -> Job[list[Line] | None]:
        """Fetch the next sentence, unless that is under way."""
        if self._fetching is None:
            urgent = self._urgent()
            self._fetching = self._parts.ask(lambda: self._fetch(urgent))
        return self._fetching

    def next_line(self) -> Line | None:
        """The next sentence, already being synthesised. None: it is not known yet, or the answer is ``over``.

        Raises:
            SpeechPartFailed: the rest will not come.
        """
        if self._fetched:
            return self._fetched.popleft()
        if self._ended:
            return None
        job = self.begin()
        if not job.done:
            return None
        self._fetching = None
        self._ended = True  # unless there is more
        lines = job.result()
        if lines is None:
            return None
        self._count += 1
        self._ended = self._count >= MOST_SENTENCES
        self._fetched.extend(lines)
        return self.next_line()

    def close(self) -> None:
        """Fetch nothing more, and end the replier's work. Idempotent."""
        self._closed = self._ended = True
        if self._fetching is not None:
            self._fetching.cancel()
        for line in self._fetched:
            line.sound.cancel()
        self._fetched.clear()
        self._parts.ask(self._sentences.close)

    # In a worker -----------------------------------------------------------------------------------

    def _fetch(self, urgent: bool) -> list[Line] | None:
        """The next sentence as lines that are being synthesised; None after the last one."""
        sentence = self._sentences.next()
        if sentence is None or self._closed:
            return None
        return [Line(text, self._parts.synthesise(text, urgent)) for text in short_enough(sentence)]
