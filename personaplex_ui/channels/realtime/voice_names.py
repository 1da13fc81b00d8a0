"""OpenAI's names of voices, each of which stands for one of ours, so that clients find a voice. Pure."""

from collections.abc import Sequence

FEMALE, MALE = "F", "M"
OPENAI_VOICES = {
    "alloy": (FEMALE, 0),
    "ash": (MALE, 0),
    "ballad": (MALE, 1),
    "cedar": (MALE, 2),
    "coral": (FEMALE, 1),
    "echo": (MALE, 3),
    "fable": (MALE, 1),
    "marin": (FEMALE, 2),
    "nova": (FEMALE, 3),
    "onyx": (MALE, 2),
    "sage": (FEMALE, 2),
    "shimmer": (FEMALE, 3),
    "verse": (MALE, 3),
}
"""Each with the kind of ours and its number."""


def our_voice(name: str, offered: Sequence[str], default: str) -> str:
    """``name`` itself, or the voice that stands for one of OpenAI's; ``default`` if that is not offered."""
    if name in offered or name.lower() not in OPENAI_VOICES:
        return name
    kind, number = OPENAI_VOICES[name.lower()]
    ours = f"NAT{kind}{number}"
    return ours if ours in offered else default
