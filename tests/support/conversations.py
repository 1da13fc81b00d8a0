"""Conversations made up of stretches of sound and words at known times, fed to a ``Conversation`` as a live
call feeds it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from personaplex_ui.audio.frames import FRAME_SEC
from personaplex_ui.calls.conversation import Conversation

LOUD_DBFS, QUIET_DBFS = -20.0, -80.0
Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Script:
    """Who makes a sound when, in seconds, and the words of the assistant with the time of each."""

    duration_sec: float
    caller: Sequence[Span] = ()
    assistant: Sequence[Span] = ()
    words: Sequence[tuple[float, str]] = ()

    @property
    def caller_levels(self) -> tuple[float, ...]:
        return self._levels(self.caller)

    @property
    def assistant_levels(self) -> tuple[float, ...]:
        return self._levels(self.assistant)

    def _levels(self, spans: Sequence[Span]) -> tuple[float, ...]:
        frames = range(round(self.duration_sec / FRAME_SEC))
        return tuple(
            LOUD_DBFS if any(a <= (i + 0.5) * FRAME_SEC < b for a, b in spans) else QUIET_DBFS for i in frames
        )

    def steps(self, conversation: Conversation) -> Iterator[float]:
        """Feed ``conversation`` frame by frame and yield the time after each, with the order of a live call:
        the assistant's frame when it begins to be heard, the caller's when it is complete."""
        heard = zip(self.caller_levels, self.assistant_levels, strict=True)
        for number, (caller, assistant) in enumerate(heard):
            now = number * FRAME_SEC
            for at_sec, word in self.words:
                if now <= at_sec < now + FRAME_SEC:
                    conversation.say(word, now, now + FRAME_SEC)
            conversation.hear_assistant(now, assistant)
            conversation.hear_caller(now, caller)
            yield now + FRAME_SEC

    def played(self, each: Callable[[Conversation, float], None] | None = None) -> Conversation:
        """The whole conversation, finished. ``each``: called after every frame."""
        conversation = Conversation()
        for now in self.steps(conversation):
            if each is not None:
                each(conversation, now)
        conversation.finish()
        return conversation


def sentence(text: str, start_sec: float, end_sec: float) -> list[tuple[float, str]]:
    """The words of ``text``, evenly spread over a time."""
    words = text.split()
    step_sec = (end_sec - start_sec) / len(words)
    return [(start_sec + number * step_sec, f" {word}") for number, word in enumerate(words)]
