"""What the engine asks of a speech model, and the words both use.

A model holds ``slots`` callers, steps them as one batch, and knows nothing of calls, threads or wires.
Every method is called from the engine's one worker thread.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from personaplex_ui.audio.frames import Frame


@dataclass(frozen=True, slots=True)
class Persona:
    """Who speaks: a voice (``NATF2``, or a file a user gave) and the role it plays."""

    voice: str
    text_prompt: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How one caller's tokens are drawn. ``seed`` None means a new one for each call."""

    text_temperature: float = 0.7
    audio_temperature: float = 0.8
    text_top_k: int = 25
    audio_top_k: int = 250
    seed: int | None = None
    greedy: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says in one frame: its sound, and the text that became known with it.

    ``text`` is a piece of the transcript to append as it is: a piece that begins a word begins with a
    space, and most frames have none.
    """

    frame: Frame
    text: str = ""


PreparedPersona: TypeAlias = object
"""A persona ready to be copied into a slot. Opaque: made and used by the same model."""

Preparation: TypeAlias = Generator[float, None, PreparedPersona]
"""The work of making a persona ready, in chunks of bounded cost: yields progress in [0, 1] after each
and returns the persona. The engine runs the chunks between ticks and may close it half-way."""


class SpeechModel(Protocol):
    """A full-duplex speech model that serves several callers in one batch."""

    @property
    def name(self) -> str:
        """What people call it, as shown on the page and in ``/health``."""
        ...

    @property
    def device(self) -> str:
        """``cpu`` or ``cuda:0``."""
        ...

    @property
    def slots(self) -> int:
        """How many callers it can hold at once."""
        ...

    def prepare(self, persona: Persona) -> Preparation:
        """Begin to make ``persona`` ready. Kept personas may return at once.

        Raises:
            InvalidInput: the voice is unknown, or the prompt does not fit.
        """
        ...

    def join(self, slot: int, persona: PreparedPersona, sampling: Sampling) -> None:
        """Put a new caller with a prepared persona into a free slot; it takes part from the next step."""
        ...

    def step(self, heard: Mapping[int, Frame]) -> Mapping[int, Answer]:
        """One tick: hear one frame in each slot of ``heard`` and answer in the same slots.

        Slots that are not in ``heard`` stay exactly as they are.
        """
        ...

    def leave(self, slot: int) -> None:
        """Free a slot."""
        ...

    def change_sampling(self, slot: int, sampling: Sampling) -> None:
        """Draw this caller's next tokens with other settings. The seed of a running call stays."""
        ...

    def speak(self, slot: int, text: str) -> None:
        """Make the voice say ``text`` as soon as it can.

        Raises:
            SpeakQueueFull: ten texts wait already.
        """
        ...

    def memory_allocated_mb(self) -> float:
        """GPU memory in use by the model; 0 on a CPU."""
        ...
