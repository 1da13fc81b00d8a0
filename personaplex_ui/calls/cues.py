"""Words of the assistant that are for the server and not for the caller: it asks somebody who knows more, or
wants a human to take over."""

import enum
from dataclasses import dataclass


class Cue(enum.StrEnum):
    """``ASK``: somebody who knows more is to find the answer. ``HUMAN``: a person is to take the call."""

    ASK = "ask"
    HUMAN = "human"


@dataclass(frozen=True, slots=True)
class Cues:
    """The phrases that give each cue, compared without regard to case and punctuation; a marker such as
    ``!!!`` consists of punctuation only and is compared as it is. They are neither heard nor shown."""

    ask: tuple[str, ...] = ()
    human: tuple[str, ...] = ()

    def in_role(self, role: str) -> "Cues":
        """Those that an assistant with ``role`` may give: only one who was told of a marker says it, and
        otherwise "Great!" is not held back to see whether it becomes one."""
        return Cues(_usable(self.ask, role), _usable(self.human, role))


def _usable(phrases: tuple[str, ...], role: str) -> tuple[str, ...]:
    return tuple(each for each in phrases if each in role or any(map(str.isalnum, each)))
