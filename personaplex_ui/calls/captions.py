"""What a call requires of whoever finds its caller's words besides the model. Depends on frames and times."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from personaplex_ui.audio.frames import Frame, Samples
from personaplex_ui.engine.speech_model import HearsWords, SpeechModel

TellWords: TypeAlias = Callable[[str, float, float], None]
"""Gets a piece of text, and from when to when it was said; see ``Conversation.hear_words``."""


class WordFinder(Protocol):
    """Finds the words of one caller. Everything runs on the event loop and returns at once; the words are
    told later, also after the call."""

    @property
    def dropped(self) -> int:
        """Utterances whose words were not recognised in time, or could not be."""
        ...

    def hear(self, frame: Frame, start_sec: float) -> None:
        """The caller's next frame, shape ``[1920]``, which began at ``start_sec``. Never waits."""
        ...

    def finish(self) -> None:
        """There is no more sound; what is being said ends here. Idempotent."""
        ...

    def close(self) -> None:
        """Nobody wants more words. Idempotent."""
        ...

    async def settled(self) -> None:
        """Returns when all that was said is recognised, and no pause may end an utterance."""
        ...


@dataclass(frozen=True, slots=True)
class CaptionsReport:
    """``found_by``: what finds the words of callers who begin now, as in "Whisper tiny.en"; empty if nothing
    does. ``message``: a sentence that says why, where words are wanted."""

    found_by: str = ""
    message: str = ""


class Captions(Protocol):
    """Decides where the words of callers come from. On the event loop."""

    def takes_own_words(self, model: SpeechModel) -> bool:
        """Whether ``Answer.heard`` of ``model`` is kept."""
        ...

    def finder_for(self, model: SpeechModel, role: str, tell: TellWords) -> WordFinder | None:
        """What finds the words of a caller of ``model`` who begins now, None if nothing does. ``role``: text
        whose words are likely. ``tell`` is called on the event loop."""
        ...

    async def find_in_clip(
        self, model: SpeechModel, samples: Samples, role: str, tell: TellWords, within_sec: float
    ) -> None:
        """Find the words of a clip ``[n]`` that ``model`` has answered, as far as ``within_sec`` allows."""
        ...

    def report(self, model: SpeechModel) -> CaptionsReport: ...


class OwnWords:
    """Where nobody but the model finds words: those are kept."""

    def takes_own_words(self, model: SpeechModel) -> bool:
        return True

    def finder_for(self, model: SpeechModel, role: str, tell: TellWords) -> WordFinder | None:
        return None

    async def find_in_clip(
        self, model: SpeechModel, samples: Samples, role: str, tell: TellWords, within_sec: float
    ) -> None:
        """The model has told all that it heard."""

    def report(self, model: SpeechModel) -> CaptionsReport:
        return CaptionsReport(heard_by(model))


def heard_by(model: object) -> str:
    """What in ``model`` hears words; empty if nothing does."""
    return model.heard_by if isinstance(model, HearsWords) else ""


OWN_WORDS: Captions = OwnWords()
