"""The settings a caller chose for one call, and the checks of every value from outside.

Pure: takes values and returns ``CallSettings`` or raises an error with a sentence for the user.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from personaplex_ui.engine.speech_model import (
    MAX_AUDIO_TOP_K,
    MAX_TEMPERATURE,
    MAX_TEXT_TOP_K,
    Persona,
    Sampling,
)
from personaplex_ui.errors import InvalidInput
from personaplex_ui.plain_text import unusable_characters, with_line_breaks

MAX_PROMPT_CHARACTERS = 2_000
MAX_SPOKEN_CHARACTERS = 2_000
MAX_SEED = 2**31 - 1


@dataclass(frozen=True, slots=True)
class CallSettings:
    """Persona, sampling, and whether the call is recorded."""

    persona: Persona
    sampling: Sampling = Sampling()
    record: bool = True


class VoiceNames(Protocol):
    def check(self, value: object) -> str:
        """The canonical name of a voice. Raises InvalidInput if there is no such voice."""
        ...


def check_settings(
    voices: VoiceNames, *, voice: object, text_prompt: object, record: object = True, **sampling: object
) -> CallSettings:
    """Check everything a caller chose; ``sampling`` is passed to ``check_sampling``.

    Raises:
        InvalidInput: the first value that cannot be used, with its field and a sentence.
    """
    persona = Persona(voices.check(voice), check_prompt(text_prompt))
    return CallSettings(persona, check_sampling(**sampling), record=record is not False)


def check_prompt(value: object) -> str:
    """The text prompt, trimmed, its line breaks ``\\n``; may be empty.

    Raises:
        InvalidInput: it is not a string, is too long, or contains control characters; the sentence names
            them.
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidInput("text_prompt", "The role must be text. Please write it in words.")
    role = with_line_breaks(value)
    if len(role) > MAX_PROMPT_CHARACTERS:
        raise InvalidInput(
            "text_prompt",
            f"The role has {len(role):,} characters; at most {MAX_PROMPT_CHARACTERS:,} fit. Please cut it.",
        )
    unusable = unusable_characters(role)
    if unusable:
        raise InvalidInput(
            "text_prompt",
            f"The role contains control characters or broken ones: {unusable}. Please remove them or type it "
            "again.",
        )
    return role.strip()


def check_spoken_text(value: object) -> str:
    """A text that the assistant is to say, trimmed, its line breaks ``\\n``.

    Raises:
        InvalidInput: it is not a string, is empty or too long, or contains control characters.
    """
    if not isinstance(value, str) or not (text := with_line_breaks(value).strip()):
        raise InvalidInput("text", "There is no text to say.")
    if len(text) > MAX_SPOKEN_CHARACTERS:
        raise InvalidInput(
            "text",
            f"The text to speak has {len(text):,} characters; at most {MAX_SPOKEN_CHARACTERS:,} are allowed.",
        )
    if unusable := unusable_characters(text):
        raise InvalidInput(
            "text", f"The text to speak contains control characters: {unusable}. Please remove them."
        )
    return text


def check_sampling(**given: object) -> Sampling:
    """``given``: values by the names of ``Sampling``'s fields; missing ones get their defaults.

    Raises:
        InvalidInput: the first value that cannot be used, with its field and a sentence.
    """
    values: dict[str, Any] = {name: _CHECKS[name](name, value) for name, value in given.items()}
    return Sampling(**values)


def check_seed(value: object) -> int | None:
    """The seed, or None (a new one for each call) for None, an empty string or -1."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    number = _number(value)
    if number == -1:
        return None
    if number is None or number != int(number) or not 0 <= number <= MAX_SEED:
        raise InvalidInput(
            "seed",
            f"The seed must be a whole number from 0 to {MAX_SEED:,}, or empty for a new one in each call.",
        )
    return int(number)


def _check_temperature(field: str, value: object) -> float:
    number = _number(value)
    if number is None or not 0 < number <= MAX_TEMPERATURE:
        raise InvalidInput(
            field,
            f"The {field.replace('_', ' ')} must be a number above 0 and at most {MAX_TEMPERATURE:g}; "
            "0.7 to 0.8 is usual.",
        )
    return number


def _check_top_k(field: str, value: object) -> int:
    kind, largest = ("text", MAX_TEXT_TOP_K) if field == "text_top_k" else ("audio", MAX_AUDIO_TOP_K)
    number = _number(value)
    if number is None or number != int(number) or not 1 <= number <= largest:
        raise InvalidInput(field, f"The {kind} top-k must be a whole number from 1 to {largest:,}.")
    return int(number)


_CHECKS: dict[str, Callable[[str, object], object]] = {
    "text_temperature": _check_temperature,
    "audio_temperature": _check_temperature,
    "text_top_k": _check_top_k,
    "audio_top_k": _check_top_k,
    "seed": lambda _, value: check_seed(value),
    "greedy": lambda _, value: value is True,
}


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):  # OverflowError for integers of 310 digits or more
        return None
    return number if math.isfinite(number) else None
