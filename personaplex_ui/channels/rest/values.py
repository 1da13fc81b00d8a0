"""The values that clients of the API give, and their limits. Pure."""

import re
from typing import cast

from pydantic_core import from_json

from personaplex_ui.calls.settings import check_prompt
from personaplex_ui.errors import InvalidInput
from personaplex_ui.plain_text import unusable_characters, with_line_breaks
from personaplex_ui.speech.parts import Turn

MAX_AUDIO_SEC = 120.0
MAX_MESSAGE_CHARACTERS = 2_000
MAX_HISTORY = 40
"""Messages: 20 turns of both sides."""

MAX_HISTORY_CHARACTERS = 120_000
"""Of the JSON in a form."""

LEAST_TOKENS, USUAL_TOKENS, MOST_TOKENS = 1, 150, 1_000
CHARACTERS_PER_TOKEN = 4

LANGUAGE = "^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})?$"
SPEAKERS = {"user": "caller", "assistant": "assistant"}


def check_message(value: object, field: str = "message") -> str:
    """A text of one side, trimmed.

    Raises:
        InvalidInput: it is not a string, is empty or too long, or contains control characters.
    """
    if not isinstance(value, str) or not (text := with_line_breaks(value).strip()):
        raise InvalidInput(field, f"{field}: please write a text in it.")
    if len(text) > MAX_MESSAGE_CHARACTERS:
        raise InvalidInput(
            field,
            f"{field}: the text has {len(text):,} characters; at most {MAX_MESSAGE_CHARACTERS:,} are "
            "allowed. Please cut it.",
        )
    if unusable := unusable_characters(text):
        raise InvalidInput(
            field, f"{field}: the text contains control characters: {unusable}. Please remove them."
        )
    return text


def check_history(value: object) -> tuple[Turn, ...]:
    """The turns so far, oldest first, of a list of ``{role, content}``.

    Raises:
        InvalidInput: it is not such a list, is too long, or one of its texts cannot be used.
    """
    if value is None:
        return ()
    if not isinstance(value, list):
        raise _no_history()
    messages = cast(list[object], value)
    if len(messages) > MAX_HISTORY:
        raise InvalidInput(
            "conversation_history",
            f"conversation_history: at most {MAX_HISTORY} messages are allowed, and these are "
            f"{len(messages):,}. Send the latest ones.",
        )
    return tuple(_turn(message) for message in messages)


def history_in_form(text: str) -> tuple[Turn, ...]:
    """Like ``check_history``, of its JSON; an empty text stands for none."""
    if not text.strip():
        return ()
    if len(text) > MAX_HISTORY_CHARACTERS:
        raise InvalidInput(
            "conversation_history", "conversation_history: this is too long. Send the latest messages."
        )
    try:
        return check_history(from_json(text))
    except ValueError as error:
        raise _no_history() from error


def _turn(message: object) -> Turn:
    fields = cast(dict[str, object], message) if isinstance(message, dict) else {}
    role = fields.get("role")
    if not isinstance(role, str) or role not in SPEAKERS:
        raise _no_history()
    return Turn(SPEAKERS[role], check_message(fields.get("content"), "conversation_history"))


def _no_history() -> InvalidInput:
    return InvalidInput(
        "conversation_history",
        'conversation_history: please send a list of {"role": "user" or "assistant", "content": "..."}. What '
        "the assistant is and knows belongs into text_prompt.",
    )


def check_max_tokens(value: object) -> int:
    """Raises InvalidInput: it is not a whole number in the range."""
    if value is None:
        return USUAL_TOKENS
    if isinstance(value, str) and re.fullmatch("[0-9]{1,6}", value):  # of a form
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and LEAST_TOKENS <= value <= MOST_TOKENS:
        return value
    raise InvalidInput(
        "max_tokens", f"max_tokens must be a whole number from {LEAST_TOKENS} to {MOST_TOKENS:,}."
    )


def check_language(value: object) -> str:
    """The ISO 639 code without a region; empty for one to be detected. Raises InvalidInput."""
    if value is None or value == "":
        return ""
    if not isinstance(value, str) or not re.fullmatch(LANGUAGE[1:-1], value):
        raise InvalidInput("language", "language must be a code such as en or pt-BR, or left out.")
    return re.split("[-_]", value)[0].lower()


def check_yes_or_no(field: str, value: object) -> bool:
    """A value of a form. Raises InvalidInput."""
    if value is None or value == "":
        return False
    said = value.strip().lower() if isinstance(value, str) else ""
    if said not in ("true", "1", "false", "0"):
        raise InvalidInput(field, f"{field} must be true or false.")
    return said in ("true", "1")


def check_role(value: object, default: str) -> str:
    """``default`` where none is given. Raises InvalidInput."""
    return default if value is None else check_prompt(value)


class TokenBudget:
    """What of an answer fits into ``most`` tokens, counted as four characters each."""

    def __init__(self, most: int) -> None:
        self._left = most * CHARACTERS_PER_TOKEN
        self._is_first = True

    def fit(self, sentence: str) -> str:
        """``sentence`` if it fits; of the first one at least as many words as do, and one. Empty: the answer
        ends before it."""
        is_first, self._is_first = self._is_first, False
        if len(sentence) > self._left:
            sentence = _first_words(sentence, self._left) if is_first else ""
            self._left = 0
        self._left = max(0, self._left - len(sentence) - 1)
        return sentence


def _first_words(sentence: str, characters: int) -> str:
    words = sentence.split()
    kept = words[:1]
    for word in words[1:]:
        if len(" ".join([*kept, word])) > characters:
            break
        kept.append(word)
    return " ".join(kept)
