"""An answer that is begun in a pause, before it is known whether the turn is over."""

from collections.abc import Callable

from personaplex_ui.models.cascade.history import History
from personaplex_ui.models.cascade.parts import PartsOfCall
from personaplex_ui.models.cascade.reply import Reply
from personaplex_ui.speech.parts import Recognised, SpeechPartFailed, Turn
from personaplex_ui.speech.work.jobs import Job


class Speculation:
    """At most one answer, which is thrown away when the caller goes on. A server is not asked for one."""

    def __init__(self, parts: PartsOfCall, urgent: Callable[[], bool]) -> None:
        self._parts = parts
        self._urgent = urgent
        self._words: Job[Recognised] | None = None
        self._turns: tuple[Turn, ...] = ()
        self._reply: Reply | None = None

    @property
    def working(self) -> bool:
        return self._reply is not None and self._reply.working

    def follow(self, words: Job[Recognised] | None, history: History) -> None:
        """Take what was recognised in the pause that goes on, None outside of one."""
        if words is self._words:
            return
        self.drop()
        self._words = words
        if words is None or not self._parts.replies_here:
            return
        try:
            text = words.result().text
        except SpeechPartFailed:
            return  # told when the turn is over
        if text:
            turns = self._turns = history.followed_by(text)
            self._reply = Reply(self._parts, lambda: self._parts.reply(turns), self._urgent)
            self._reply.begin()

    def take(self, turns: tuple[Turn, ...]) -> Reply | None:
        """The answer to ``turns``, if it is the one that was begun."""
        if self._reply is None or turns != self._turns:
            return None
        reply, self._reply = self._reply, None
        return reply

    def drop(self) -> None:
        self._words = None
        if self._reply is not None:
            self._reply.close()
            self._reply = None
