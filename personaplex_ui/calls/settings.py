"""What a caller chose for one call, and the check of every value that comes from outside.

Pure: values in, ``CallSettings`` or a sentence out.
"""

import math
from dataclasses import dataclass

from personaplex_ui.engine.speech_model import Persona, Sampling
from personaplex_ui.errors import InvalidInput
from personaplex_ui.plain_text import unusable_characters, with_line_breaks
from personaplex_ui.voices.library import VoiceLibrary

MAX_PROMPT_CHARACTERS = 2_000
MAX_TEMPERATURE = 2.0
MAX_TEXT_TOP_K = 500
MAX_AUDIO_TOP_K = 2_048
MAX_SEED = 2**31 - 1


@dataclass(frozen=True, slots=True)
class CallSettings:
    """Persona, sampling, and whether the call is recorded."""

    persona: Persona
    sampling: Sampling = Sampling()
    record: bool = True


def check_prompt(value: object) -> str:
    """The text prompt, trimmed, its line breaks ``\\n``; may be empty.

    Raises:
        InvalidInput: it is no text, too long, or holds control characters, which the sentence names.
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidInput("text_prompt", "The role must be a text. Please write it in words.")
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
            "anew.",
        )
    return role.strip()


def check_temperature(value: object, field: str) -> float:
    """A temperature over 0 and at most 2."""
    number = _number(value)
    if number is None or not 0 < number <= MAX_TEMPERATURE:
        raise InvalidInput(
            field,
            f"The {field.replace('_', ' ')} must be a number above 0 and at most {MAX_TEMPERATURE:g}; "
            "0.7 to 0.8 is usual.",
        )
    return number


def check_top_k(value: object, field: str, largest: int) -> int:
    """How many candidates a token is drawn from, 1 to ``largest``."""
    number = _number(value)
    if number is None or number != int(number) or not 1 <= number <= largest:
        label = "text" if field.startswith("text") else "audio"
        raise InvalidInput(field, f"The {label} top-k must be a whole number from 1 to {largest:,}.")
    return int(number)


def check_seed(value: object) -> int | None:
    """The seed, or None (a new one for each call) for nothing, an empty text or -1."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    number = _number(value)
    if number == -1:
        return None
    if number is None or number != int(number) or not 0 <= number <= MAX_SEED:
        raise InvalidInput(
            "seed",
            f"The seed must be a whole number from 0 to {MAX_SEED:,}, or empty for a new one each call.",
        )
    return int(number)


def check_settings(
    voices: VoiceLibrary,
    *,
    voice: object,
    text_prompt: object,
    text_temperature: object = 0.7,
    audio_temperature: object = 0.8,
    text_top_k: object = 25,
    audio_top_k: object = 250,
    seed: object = None,
    greedy: object = False,
    record: object = True,
) -> CallSettings:
    """Check everything a caller chose.

    Raises:
        InvalidInput: the first value that cannot be used, with its field and a sentence.
    """
    persona = Persona(voices.check(voice), check_prompt(text_prompt))
    sampling = Sampling(
        text_temperature=check_temperature(text_temperature, "text_temperature"),
        audio_temperature=check_temperature(audio_temperature, "audio_temperature"),
        text_top_k=check_top_k(text_top_k, "text_top_k", MAX_TEXT_TOP_K),
        audio_top_k=check_top_k(audio_top_k, "audio_top_k", MAX_AUDIO_TOP_K),
        seed=check_seed(seed),
        greedy=greedy is True,
    )
    return CallSettings(persona, sampling, record=record is not False)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):  # the latter for whole numbers of 310 digits and more
        return None
    return number if math.isfinite(number) else None
