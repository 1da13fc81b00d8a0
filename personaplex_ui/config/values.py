"""The types of settings, for pydantic, and the words that refuse a value.

Depends on kinds of values, not on individual variables.
"""

import contextlib
import ipaddress
import re
from collections.abc import Callable
from typing import Annotated

from pydantic import BeforeValidator, Field

from personaplex_ui.channels.twilio.numbers import normalised
from personaplex_ui.voices.names import canonical_voice_name

AUTO = "auto"


class Unusable(ValueError):
    """``value`` is not ``allowed``, which completes the sentence "it must be ..."."""

    def __init__(self, value: str, allowed: str) -> None:
        super().__init__(allowed)
        self.value = value
        self.allowed = allowed


def _read(read: Callable[[str], str | None], allowed: str, listed: bool = False) -> BeforeValidator:
    """Parses texts with ``read``, which returns None for unusable ones; ``listed``: several, separated by
    commas. Anything but a text is a default, or comes from code."""

    def read_one(value: str) -> str:
        found = read(value)
        if found is None:
            raise Unusable(value, allowed)
        return found

    def check(value: object) -> object:
        if not isinstance(value, str):
            return value
        if listed:
            return tuple(read_one(item.strip()) for item in value.split(",") if item.strip())
        return read_one(value)

    return BeforeValidator(check)


def _matching(pattern: str, then: Callable[[str], str] = str) -> Callable[[str], str | None]:
    return lambda value: then(value) if re.fullmatch(pattern, value) else None


def _without_slash(value: str) -> str:
    """So that paths can be appended."""
    return value.rstrip("/")


def _read_network(value: str) -> str | None:
    with contextlib.suppress(ValueError):
        ipaddress.ip_network(value, strict=False)
        return value
    return None


MOST_CALLS = 64


def _read_call_count(value: object) -> object:
    """None means auto, which a text says."""
    if not isinstance(value, str):
        return value
    if value.lower() == AUTO:
        return None
    if re.fullmatch("[0-9]{1,9}", value) and 1 <= int(value) <= MOST_CALLS:
        return int(value)
    raise Unusable(value, f"{AUTO}, or a whole number from 1 to {MOST_CALLS}")


CallCount = Annotated[int | None, BeforeValidator(_read_call_count)]
"""How many calls at once; None: as many as the machine can take."""
AnyCase = BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value)
"""A choice, in upper or lower case."""

PositiveNumber = Annotated[float, Field(gt=0, allow_inf_nan=False)]
HttpsUrl = Annotated[
    str,
    _read(
        _matching(r"https://[\w.-]+(:[0-9]+)?(/[^\s?#]*)?", _without_slash),
        "the public address of this server, as in https://example.org",
    ),
]
InstancePath = Annotated[
    str, _read(_matching(r"/[A-Za-z0-9-]{1,40}"), "one segment of letters, digits and -, as in /gpu-1")
]
"""Below which one of several processes answers, too; empty for none."""
ServerUrl = Annotated[
    str,
    _read(
        _matching(r"https?://([\w.-]+|\[[0-9a-fA-F:]+\])(:[0-9]+)?(/[^\s?#]*)?", _without_slash),
        "the address of an OpenAI-compatible server, as in https://api.example.org/v1",
    ),
]
"""Of a server that this one asks, which may be on this machine."""
Networks = Annotated[
    tuple[str, ...],
    _read(_read_network, "a list of addresses or networks, as in 10.0.0.0/8, with commas between them", True),
]
"""IP addresses and networks, with commas between them."""
Origins = Annotated[
    tuple[str, ...],
    _read(
        _matching(r"\*|https?://[\w.-]+(:[0-9]+)?/*", _without_slash),
        "* or a list of origins, as in https://example.org",
        True,
    ),
]
"""Web origins, with commas between them, or ``*`` for all."""
IceUrls = Annotated[
    tuple[str, ...],
    _read(
        _matching(r"(turns?|stuns?):[^\s/]+"),
        "a list of URLs, as in turn:example.org:3478, with commas between them",
        True,
    ),
]
PhoneNumber = Annotated[str, _read(normalised, "a number with its country code, as in +15551234567")]
"""In E.164, however it is written."""
VoiceName = Annotated[str, _read(_matching(r"[^/\\]+", canonical_voice_name), "a voice's name, as in NATF2")]
DeviceName = Annotated[
    str, _read(_matching(r"auto|cpu|cuda(:[0-9]+)?"), "auto, cpu, cuda, or one GPU, as in cuda:0")
]


MOST_PHRASES = 8
LONGEST_PHRASE = 60
MOST_PHRASE_WORDS = 8
"""A phrase is held back while it is being said, for 3 s at most."""

LONGEST_FILLER = 200


def _read_phrases(value: object) -> object:
    """Separated by ``|``; ``off`` means none."""
    if not isinstance(value, str):
        return value
    phrases = () if value.lower() == OFF else tuple(part.strip() for part in value.split("|"))
    if len(phrases) > MOST_PHRASES or not all(map(_is_phrase, phrases)):
        raise Unusable(value, PHRASES_ALLOWED)
    return phrases


def _is_phrase(phrase: str) -> bool:
    """A mark of one character would be found in ordinary sentences."""
    if not phrase or len(phrase) > LONGEST_PHRASE or len(phrase.split()) > MOST_PHRASE_WORDS:
        return False
    return any(character.isalnum() for character in phrase) or (len(phrase) > 1 and " " not in phrase)


def _read_filler(value: object) -> object:
    if not isinstance(value, str):
        return value
    if len(value) > LONGEST_FILLER:
        raise Unusable(value, f"{OFF}, or a sentence of {LONGEST_FILLER} characters at most")
    return "" if value.lower() == OFF else value


OFF = "off"
PHRASES_ALLOWED = (
    f"{OFF}, or up to {MOST_PHRASES} phrases with | between them, each of {LONGEST_PHRASE} characters and "
    f"{MOST_PHRASE_WORDS} words at most, or a mark of two characters or more, as in !!!"
)
AskPhrases = Annotated[tuple[str, ...], BeforeValidator(_read_phrases)]
"""What the assistant says to the server; empty for nothing."""
AskFiller = Annotated[str, BeforeValidator(_read_filler)]
"""What is said while an answer is looked for; empty for nothing."""


def shown(value: str) -> str:
    """``value`` for a sentence, without the name and password before the @ of a URL."""
    return repr(re.sub(r"^(\w+://)?.*@", r"\1***@", value, flags=re.DOTALL))
