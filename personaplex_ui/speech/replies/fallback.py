"""One replier in the place of another that fails."""

import logging
import threading
from collections.abc import Iterator, Sequence
from typing import Protocol, cast, runtime_checkable

from personaplex_ui.speech.parts import Replier, SpeechPartFailed, Turn
from personaplex_ui.speech.tools.runner import Tools

log = logging.getLogger(__name__)


@runtime_checkable
class _Closable(Protocol):
    def close(self) -> None: ...


@runtime_checkable
class _CallsTools(Protocol):
    def with_tools(self, more: Tools) -> Replier: ...


class FallbackReplier:
    """A ``Replier`` that asks ``first``, and ``second`` where the first gave not one sentence.

    If the first fails after a sentence, the answer ends there: the second would begin it anew.
    """

    def __init__(self, first: Replier, second: Replier) -> None:
        self._first = first
        self._second = second

    def greet(self, role: str) -> str:
        """The first's greeting, or the second's."""
        try:
            return self._first.greet(role)
        except SpeechPartFailed as error:
            log.warning("The greeting comes from the role's own text. %s", error)
            return self._second.greet(role)

    def reply(self, role: str, turns: Sequence[Turn]) -> "FallbackAnswer":
        """The answer to the last of ``turns``, an iterator."""
        return FallbackAnswer(self._first, self._second, role, turns)

    def with_tools(self, more: Tools) -> "FallbackReplier":
        """See ``HttpReplier.with_tools``."""
        first = self._first
        return FallbackReplier(
            first.with_tools(more) if isinstance(first, _CallsTools) else first, self._second
        )


class FallbackAnswer(Iterator[str]):
    """The sentences of the first replier, or of the second. ``close`` ends it from any thread."""

    def __init__(self, first: Replier, second: Replier, role: str, turns: Sequence[Turn]) -> None:
        self._second = second
        self._role = role
        self._turns = turns
        self._lock = threading.Lock()
        self._closed = False
        self._said = 0
        self._on_second = False
        self._answer = self._begin(first)

    def _begin(self, first: Replier) -> Iterator[str]:
        try:
            return first.reply(self._role, self._turns)
        except SpeechPartFailed as error:
            return self._change(error)

    def __next__(self) -> str:
        while True:
            if self._closed:
                raise StopIteration
            try:
                sentence = next(self._answer)
            except SpeechPartFailed as error:
                if self._on_second:
                    raise
                if self._said:
                    log.warning("An answer ends early. %s", error)
                    raise StopIteration from None
                answer = self._change(error)
                with self._lock:
                    self._answer = answer
                continue
            self._said += 1
            return sentence

    def close(self) -> None:
        """Ends the answer and what works on it."""
        with self._lock:
            self._closed = True
            answer = self._answer
        if isinstance(answer, _Closable) and not _is_running(answer):
            answer.close()

    def _change(self, error: SpeechPartFailed) -> Iterator[str]:
        log.warning("The answer comes from the role's own text. %s", error)
        self._on_second = True
        return self._second.reply(self._role, self._turns)


def _is_running(answer: object) -> bool:
    """Whether ``answer`` is a generator that another thread is in: it cannot be closed from here."""
    return bool(cast(object, getattr(answer, "gi_running", False)))
