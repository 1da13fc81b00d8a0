"""The parts of a conversation that is not one model: who hears words, who finds an answer, who says it.

Each is a small Protocol with a local version and one that asks a server over HTTP. They block, so they are
called in workers, never in a tick or on the event loop.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from personaplex_ui.audio.frames import Samples
from personaplex_ui.errors import PersonaplexError


class SpeechPartFailed(PersonaplexError):
    """A part did not do its work; the sentence says why, and what the operator can do."""


@dataclass(frozen=True, slots=True)
class Recognised:
    """What was said: ``text`` without white space around it, empty where nobody spoke words; ``language``:
    its ISO 639-1 code, empty if unknown. ``doubtful``: it may be made up, as of speech in a language that the
    recogniser does not know; good enough for an answer, which can be corrected, and not for a transcript."""

    text: str
    language: str = ""
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class Turn:
    """What one of the two said. ``speaker``: ``caller`` or ``assistant``."""

    speaker: str
    text: str


class Recogniser(Protocol):
    """Speech to text."""

    def recognise(self, samples: Samples, context: str = "", language: str = "") -> Recognised:
        """The words in ``samples`` ``[n]``, float32, 24 kHz, mono. ``context``: text whose words are likely,
        such as the role. ``language``: empty to detect it.

        Raises:
            SpeechPartFailed: it could not be done.
        """
        ...


class Replier(Protocol):
    """Text to text: what the assistant answers."""

    def greet(self, role: str) -> str:
        """What the assistant says first."""
        ...

    def reply(self, role: str, turns: Sequence[Turn]) -> Iterator[str]:
        """The answer to the last of ``turns``, sentence by sentence, each as soon as it is known. Closing the
        iterator ends the work.

        Raises:
            SpeechPartFailed: it could not be done.
        """
        ...


class Synthesiser(Protocol):
    """Text to speech."""

    def synthesise(self, text: str, voice: str) -> Samples:
        """``text``, a sentence, as sound of shape ``[n]``, float32, 24 kHz, mono, in [-1, 1]. ``voice``: a
        name of the catalogue; one that is unknown gets a voice of this synthesiser's choice.

        Raises:
            SpeechPartFailed: it could not be done.
        """
        ...
