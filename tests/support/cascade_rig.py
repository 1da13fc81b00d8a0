"""A cascade with deterministic parts, driven frame by frame; its jobs are done here, between frames."""

from dataclasses import dataclass, field

import numpy as np

from personaplex_ui.audio.frames import FRAME_SAMPLES, Samples, pad_to_frames
from personaplex_ui.engine.speech_model import Answer, Persona, Sampling, complete
from personaplex_ui.models.cascade.model import CascadeModel
from personaplex_ui.models.cascade.parts import Parts
from personaplex_ui.speech.work.jobs import JobQueue
from tests.support.speech_parts import Humming, Listed, Scripted, work_off

ROLE = "You are Ann of the bakery. We open at eight."


@dataclass
class CascadeRig:
    """``remote``: the replier is on a server. ``busy``: while it is set, no worker gets anything done."""

    recogniser: Listed = field(default_factory=Listed)
    replier: Scripted = field(default_factory=Scripted)
    synthesiser: Humming = field(default_factory=Humming)
    slots: int = 4
    busy: bool = False
    remote: bool = False

    def __post_init__(self) -> None:
        self.queue = JobQueue(1)
        remote = (self.replier,) if self.remote else ()
        parts = Parts(self.recogniser, self.replier, self.synthesiser, remote)
        self.model = CascadeModel(self.slots, parts, self.queue)
        self.join(0)

    def join(self, slot: int, voice: str = "NATF2") -> None:
        persona = complete(self.model.prepare(Persona(voice, ROLE)))
        self.model.join(slot, persona, Sampling(seed=1))

    def hears(self, *sounds: Samples, slot: int = 0) -> list[Answer]:
        """Step one caller with all of ``sounds``; workers finish what they have to do before each frame."""
        answers: list[Answer] = []
        for frame in pad_to_frames(np.concatenate(sounds)).reshape(-1, FRAME_SAMPLES):
            if not self.busy:
                work_off(self.queue)
            answers.append(self.model.step({slot: frame})[slot])
        return answers


def text_of(answers: list[Answer]) -> str:
    return "".join(answer.text for answer in answers)


def sounding(answers: list[Answer]) -> list[int]:
    """The numbers of the frames in which something is heard."""
    return [number for number, answer in enumerate(answers) if np.any(np.abs(answer.frame) > 1e-4)]


def longest_gap(answers: list[Answer]) -> int:
    """The longest silence, in samples, between the first and the last sound."""
    loud = np.flatnonzero(np.abs(np.concatenate([answer.frame for answer in answers])) > 1e-4)
    return int(np.max(np.diff(loud), initial=0))
