"""The parts of a cascade, and how one call has them work: as jobs in the queue, under the call's number."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from personaplex_ui.audio.frames import Samples
from personaplex_ui.models.cascade.said_before import SaidBefore
from personaplex_ui.speech.parts import Recognised, Recogniser, Replier, Synthesiser, Turn
from personaplex_ui.speech.work.jobs import Job, JobQueue, done_already

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Parts:
    """``remote``: those of the three that ask a server, so that their jobs wait rather than compute."""

    recogniser: Recogniser
    replier: Replier
    synthesiser: Synthesiser
    remote: tuple[object, ...] = ()

    def computes(self, part: object) -> bool:
        return not any(part is one for one in self.remote)


@dataclass(slots=True)
class PartsOfCall:
    """``parts``, for the call ``owner`` with this ``voice`` and ``role``. ``own_replier``: whom this call
    asks in the place of the common one; it asks a server."""

    parts: Parts
    queue: JobQueue
    owner: int
    voice: str
    role: str
    said_before: SaidBefore = field(default_factory=SaidBefore)
    own_replier: Replier | None = None

    @property
    def replies_here(self) -> bool:
        """Whether answers come from this machine, and cost nobody anything."""
        return self.own_replier is None and self.parts.computes(self.parts.replier)

    @property
    def _replier(self) -> Replier:
        return self.own_replier or self.parts.replier

    def recognise(self, samples: Samples) -> Job[Recognised]:
        """Have the words in ``samples`` recognised; the role's words are likely ones."""
        recogniser = self.parts.recogniser
        return self._submit(recogniser, lambda: recogniser.recognise(samples, self.role), urgent=True)

    def ask(self, work: Callable[[], T]) -> Job[T]:
        """Have ``work``, which uses the replier, done."""
        return self.queue.submit(self.owner, work, heavy=self.replies_here, urgent=True)

    def greeting(self) -> Iterator[str]:
        yield self.parts.replier.greet(self.role)

    def reply(self, turns: Sequence[Turn]) -> Iterator[str]:
        return self._replier.reply(self.role, turns)

    def synthesise(self, text: str, urgent: bool) -> Job[Samples]:
        """Have ``text`` said. ``urgent``: nothing is being said meanwhile."""
        known = self.said_before.get(text, self.voice)
        if known is not None:
            return done_already(self.owner, known)
        return self._submit(self.parts.synthesiser, lambda: self._make_sound(text), urgent)

    def _make_sound(self, text: str) -> Samples:
        samples = self.parts.synthesiser.synthesise(text, self.voice)
        self.said_before.keep(text, self.voice, samples)
        return samples

    def _submit(self, part: object, work: Callable[[], T], urgent: bool) -> Job[T]:
        return self.queue.submit(self.owner, work, heavy=self.parts.computes(part), urgent=urgent)
