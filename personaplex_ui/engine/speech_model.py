"""What the engine requires of a speech model, and the types both use.

A model holds ``slots`` callers, steps them as one batch, and depends on no calls, threads or transports.
Every method but ``prompt_size`` is called from the engine's one thread.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

from personaplex_ui.audio.frames import Frame, Samples
from personaplex_ui.errors import InvalidInput

MAX_TEMPERATURE = 2.0
MAX_TEXT_TOP_K = 500
MAX_AUDIO_TOP_K = 2_048
MAX_TEXTS_WAITING = 10
"""Texts waiting to be spoken for one caller."""
QUEUE_FULL = "Ten texts are already waiting to be spoken. Please wait until one has been said."


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
class PromptSize:
    """How long a role is, in the model's tokens, and how long it may be with this voice."""

    tokens: int
    most: int

    def check(self) -> None:
        """Raises InvalidInput when the role does not fit."""
        if self.tokens > self.most:
            raise InvalidInput(
                "text_prompt",
                f"The role is too long: it has {self.tokens:,} tokens, and {max(self.most, 0):,} fit "
                "with this voice. Please shorten it.",
            )


@dataclass(frozen=True, slots=True)
class Heard:
    """Words that the model heard the caller say. ``text``: a piece to append unchanged; one that starts a
    word starts with a space. They were said from ``begun_ago`` to ``ended_ago`` frames before the end of the
    frame that was just heard."""

    text: str
    begun_ago: int
    ended_ago: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says in one frame: its sound, and the text that came with it.

    ``text`` is a piece of the transcript to append unchanged: a piece that starts a word starts with a space,
    and most frames have no text. ``heard``: the caller's words, of a model that ``HearsWords``.
    """

    frame: Frame
    text: str = ""
    heard: Heard | None = None


PreparedPersona: TypeAlias = object
"""A persona ready to be copied into a slot. Opaque: created and used by the same model."""


class Preparation(Protocol):
    """Prepares a persona in chunks of bounded cost. A chunk is done either by itself (``advance``) or inside
    a step for live callers (``SpeechModel.step``). It may be closed half-way."""

    @property
    def progress(self) -> float:
        """How much is done, in [0, 1]."""
        ...

    @property
    def done(self) -> bool:
        """Whether ``persona`` is there. A kept persona is done from the beginning."""
        ...

    @property
    def can_ride(self) -> bool:
        """Whether the next chunk can be done inside a step. It may change with what happens to others."""
        ...

    @property
    def in_prompt(self) -> bool:
        """Whether the next chunk is of the prompt. Before, it is a frame of a recorded voice, which is short
        and cannot ride."""
        ...

    def advance(self) -> None:
        """Do the next chunk by itself.

        Raises:
            InvalidInput: the voice cannot be used, or the prompt does not fit.
        """
        ...

    def persona(self) -> PreparedPersona:
        """What was prepared, once it is ``done``."""
        ...

    def close(self) -> None:
        """Release what an unfinished preparation holds. Idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class Prepared:
    """The preparation of a persona that needs none, for example because it was kept."""

    ready: PreparedPersona
    progress: float = 1.0
    done: bool = True
    can_ride: bool = False
    in_prompt: bool = True

    def advance(self) -> None:
        """Nothing is left to do."""

    def persona(self) -> PreparedPersona:
        return self.ready

    def close(self) -> None:
        """It holds nothing."""


@dataclass(frozen=True, slots=True)
class StepCosts:
    """What the model's work takes on this machine, in seconds, as measured when it was loaded; 0 if unknown.

    ``step_sec``: a step with all slots taken. ``ride_sec``: what a chunk adds to the step that it rides in.
    ``chunk_sec``: a chunk of a prompt by itself. ``voice_sec``: a frame of a recorded voice.
    """

    step_sec: float = 0.0
    ride_sec: float = 0.0
    chunk_sec: float = 0.0
    voice_sec: float = 0.0


class SpeechModel(Protocol):
    """A full-duplex speech model that serves several callers in one batch."""

    @property
    def name(self) -> str:
        """Its name, as shown on the page and in ``/health``."""
        ...

    @property
    def device(self) -> str:
        """``cpu`` or ``cuda:0``."""
        ...

    @property
    def slots(self) -> int:
        """How many callers it can hold at once."""
        ...

    @property
    def licence_note(self) -> str:
        """What users must be told about its licence; empty if nothing."""
        ...

    @property
    def clips_only(self) -> str:
        """Why it can answer clips but no live calls, and what to do about it; empty where it can do both."""
        ...

    @property
    def costs(self) -> StepCosts:
        """What its work takes here: what the scheduler assumes until it has measured it."""
        ...

    def prompt_size(self, persona: Persona) -> PromptSize | None:
        """How long the role is; None for a model that does not count tokens. From any thread.

        Raises:
            InvalidInput: the voice is unknown or cannot be used.
        """
        ...

    def prepare(self, persona: Persona) -> Preparation:
        """Begin to prepare ``persona``.

        Raises:
            InvalidInput: the voice is unknown, or the prompt does not fit.
        """
        ...

    def join(self, slot: int, persona: PreparedPersona, sampling: Sampling) -> None:
        """Put a new caller with a prepared persona into a free slot; it takes part from the next step."""
        ...

    def step(self, heard: Mapping[int, Frame], riding: Preparation | None = None) -> Mapping[int, Answer]:
        """One tick: hear one frame in each slot of ``heard`` and answer in the same slots.

        Slots that are not in ``heard`` stay exactly as they are. The next chunk of ``riding``, whose
        ``can_ride`` is true, is done in the same pass over the weights. A step that raises has done none.
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
            SpeakQueueFull: ten texts are waiting already.
        """
        ...

    def memory_allocated_mb(self) -> float:
        """GPU memory in use by the model; 0 on a CPU."""
        ...


@runtime_checkable
class OfflineModel(Protocol):
    """A speech model whose GPU is lent to it for one function at a time: it answers whole clips itself, on
    any thread, and takes no calls (``clips_only`` says why)."""

    def answer_clip(
        self, samples: Samples, persona: Persona, sampling: Sampling
    ) -> tuple[Samples, tuple[tuple[int, str], ...]]:
        """Sound as long as ``samples`` ``[n]`` (24 kHz), and the pieces of text, each with its frame number.

        Raises:
            InvalidInput: the voice is unknown, or the role does not fit.
        """
        ...


@runtime_checkable
class Recoverable(Protocol):
    """A speech model that, after a failure, must drop more than its callers before it goes on."""

    def recover(self) -> None:
        """Drop caches and release memory. All slots have been left."""
        ...


@runtime_checkable
class WorksBesides(Protocol):
    """A speech model that does part of its work in threads of its own, while frames pass. A caller who keeps
    no time (a clip) is stepped only when that work is done: its answers then come in the same frames on
    every machine, however fast the clip is."""

    def works_for(self, slot: int) -> bool:
        """Whether work for the caller in ``slot`` is under way. Never waits."""
        ...


@runtime_checkable
class TakesTurns(Protocol):
    """A speech model that waits for its turn and finds its answer in words, so that it can be told more than
    sound."""

    def read(self, slot: int, text: str) -> None:
        """The caller wrote ``text`` in the place of speaking; it is answered like what was said."""
        ...

    def fall_silent(self, slot: int) -> None:
        """Say nothing more of the present answer, as if the caller had interrupted."""
        ...

    def answer_with(self, slot: int, replier: object) -> None:
        """Find this caller's answers from now on with ``replier``, a ``speech.parts.Replier``."""
        ...


@runtime_checkable
class HearsWords(Protocol):
    """A speech model that tells in ``Answer.heard`` what its callers say, so that nobody else has to find
    out. ``heard_by``: what hears the words, as in "Whisper tiny.en"; empty if it does not after all."""

    @property
    def heard_by(self) -> str: ...


def complete(preparation: Preparation) -> PreparedPersona:
    """Run all of ``preparation`` at once, where nothing has to run between its chunks."""
    while not preparation.done:
        preparation.advance()
    return preparation.persona()


def check_persona(model: SpeechModel, persona: Persona) -> None:
    """Raises InvalidInput: ``model`` cannot use the voice, or the role is too long for it."""
    size = model.prompt_size(persona)
    if size is not None:
        size.check()
