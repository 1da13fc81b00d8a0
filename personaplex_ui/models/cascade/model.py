"""The cascade as a speech model: needs no GPU and no torch, and answers what callers say.

Its parts block, so they work in threads of their own; a step takes what they have finished and never waits.
"""

from collections.abc import Mapping
from typing import cast

from personaplex_ui.audio.frames import Frame
from personaplex_ui.engine.reports import CapacityReport, RuntimeReport
from personaplex_ui.engine.speech_model import (
    Answer,
    Persona,
    Preparation,
    Prepared,
    PreparedPersona,
    Sampling,
    StepCosts,
)
from personaplex_ui.models.cascade.caller import CascadeCaller
from personaplex_ui.models.cascade.parts import Parts, PartsOfCall
from personaplex_ui.models.cascade.said_before import SaidBefore
from personaplex_ui.speech.parts import Replier
from personaplex_ui.speech.work.jobs import JobQueue

OTHER_VOICES = (
    "This engine speaks with voices of its own: a voice's name only chooses between them, and between women "
    "and men. NVIDIA's voices need PersonaPlex, which needs a GPU."
)


class CascadeModel:
    """See ``SpeechModel``. It accepts any voice name. ``queue``: where its jobs wait for workers, whoever
    runs those. ``made_of``: what its parts are; ``heard_by``: the one that hears words."""

    name = "cascade"
    device = "cpu"
    clips_only = ""
    costs = StepCosts()

    def __init__(
        self,
        slots: int,
        parts: Parts,
        queue: JobQueue,
        note: str = OTHER_VOICES,
        made_of: RuntimeReport | None = None,
        said_before: SaidBefore | None = None,
        heard_by: str = "a recogniser",
    ) -> None:
        self.slots = slots
        self.heard_by = heard_by
        self.licence_note = note
        self._parts = parts
        self._queue = queue
        self._callers: dict[int, CascadeCaller] = {}
        self._said_before = said_before or SaidBefore()
        self.capacity_report: CapacityReport | None = None
        self.runtime_report = made_of

    def prompt_size(self, persona: Persona) -> None:
        """A role of any length that a call may have fits."""

    def prepare(self, persona: Persona) -> Preparation:
        return Prepared(persona)

    def join(self, slot: int, persona: PreparedPersona, sampling: Sampling) -> None:
        assert isinstance(persona, Persona)
        # Jobs of a caller who left may still run, so the next one in the slot is another owner.
        owner = self._queue.new_owner()
        parts = PartsOfCall(
            self._parts, self._queue, owner, persona.voice, persona.text_prompt, self._said_before
        )
        self._callers[slot] = CascadeCaller(parts)

    def step(self, heard: Mapping[int, Frame], riding: Preparation | None = None) -> Mapping[int, Answer]:
        return {slot: self._callers[slot].step(frame) for slot, frame in heard.items()}

    def works_for(self, slot: int) -> bool:
        """See ``WorksBesides``."""
        caller = self._callers.get(slot)
        return caller is not None and caller.working

    def leave(self, slot: int) -> None:
        caller = self._callers.pop(slot, None)
        if caller is not None:
            caller.close()

    def change_sampling(self, slot: int, sampling: Sampling) -> None:
        """It samples no tokens itself."""

    def speak(self, slot: int, text: str) -> None:
        self._callers[slot].speak(text)

    def read(self, slot: int, text: str) -> None:
        """See ``TakesTurns``."""
        self._callers[slot].read(text)

    def fall_silent(self, slot: int) -> None:
        """See ``TakesTurns``."""
        self._callers[slot].fall_silent()

    def answer_with(self, slot: int, replier: object) -> None:
        """See ``TakesTurns``."""
        self._callers[slot].answer_with(cast(Replier, replier))

    def memory_allocated_mb(self) -> float:
        return 0.0
