"""The kinds of values that settings have, as types for pydantic, and the words in which one is refused.

Knows kinds of values, not a single variable by name.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable
from typing import Annotated, TypeAlias, TypeVar

from pydantic import BeforeValidator, Field

from personaplex_ui.channels.twilio.numbers import normalised
from personaplex_ui.voices.names import canonical_voice_name

T = TypeVar("T")


class Unusable(ValueError):
    """``value`` is not ``allowed``, which completes the sentence "it must be ..."."""

    def __init__(self, value: str, allowed: str) -> None:
        super().__init__(allowed)
        self.value = value
        self.allowed = allowed


def _checked(check: Callable[[str], T]) -> BeforeValidator:
    """A check of texts; what is no text has been checked before (a default, a value given by code)."""
    return BeforeValidator(lambda value: check(value) if isinstance(value, str) else value)


def _matching(pattern: str, allowed: str) -> BeforeValidator:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise Unusable(value, allowed)
        return value

    return _checked(check)


def _listed(value: str) -> list[str]:
    return [item.strip() for item in value.split(",") if item.strip()]


def _read_https_url(value: str) -> str:
    """Without a slash at its end, so that paths can be appended."""
    if not re.fullmatch(r"https://[\w.-]+(:[0-9]+)?(/[^\s?#]*)?", value):
        raise Unusable(value, "the public address of this server, as in https://example.org")
    return value.rstrip("/")


def _read_networks(value: str) -> tuple[str, ...]:
    networks = _listed(value)
    for network in networks:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError:
            allowed = "a list of addresses or networks, as in 10.0.0.0/8, with commas between them"
            raise Unusable(network, allowed) from None
    return tuple(networks)


def _read_origins(value: str) -> tuple[str, ...]:
    origins = [origin.rstrip("/") for origin in _listed(value)]
    return _all_matching(
        origins, r"\*|https?://[\w.-]+(:[0-9]+)?", "* or a list of origins, as in https://example.org"
    )


def _read_ice_urls(value: str) -> tuple[str, ...]:
    allowed = "a list of URLs, as in turn:example.org:3478, with commas between them"
    return _all_matching(_listed(value), r"(turns?|stuns?):[^\s/]+", allowed)


def _all_matching(items: Iterable[str], pattern: str, allowed: str) -> tuple[str, ...]:
    for item in items:
        if not re.fullmatch(pattern, item):
            raise Unusable(item, allowed)
    return tuple(items)


def _read_phone_number(value: str) -> str:
    number = normalised(value)
    if number is None:
        raise Unusable(value, "a number with its country code, as in +15551234567")
    return number


def _read_voice_name(value: str) -> str:
    if not re.fullmatch(r"[^/\\]+", value):
        raise Unusable(value, "a voice's name, as in NATF2")
    return canonical_voice_name(value)


AnyCase = BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value)
"""A choice, in capitals or not."""

PositiveNumber = Annotated[float, Field(gt=0, allow_inf_nan=False)]
HttpsUrl = Annotated[str, _checked(_read_https_url)]
Networks = Annotated[tuple[str, ...], _checked(_read_networks)]
"""IP addresses and networks, with commas between them."""
Origins = Annotated[tuple[str, ...], _checked(_read_origins)]
"""Web origins, as in ``https://example.org``, with commas between them, or ``*`` for all."""
IceUrls = Annotated[tuple[str, ...], _checked(_read_ice_urls)]
PhoneNumber = Annotated[str, _checked(_read_phone_number)]
"""In E.164, however it is written."""
VoiceName = Annotated[str, _checked(_read_voice_name)]
DeviceName = Annotated[
    str, _matching(r"auto|cpu|cuda(:[0-9]+)?", "auto, cpu, cuda, or one GPU, as in cuda:0")
]


IceServer: TypeAlias = dict[str, str | list[str]]
"""One entry of ``RTCConfiguration.iceServers``, as browsers spell it."""


def shown(value: str) -> str:
    """``value`` for a sentence: what stands before the @ of a URL is a name and a password."""
    return repr(re.sub(r"^(\w+://)?.*@", r"\1***@", value, flags=re.DOTALL))
