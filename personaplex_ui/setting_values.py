"""The values of environment variables: how each kind of text is read, and in which words it is refused.

Knows kinds of values and no variable by name.
"""

import enum
import ipaddress
import math
import re
from collections.abc import Mapping
from typing import TypeVar

from personaplex_ui.errors import SettingsError

YES, NO = ("1", "true", "yes", "on", "t"), ("0", "false", "no", "off", "f")


class Secret:
    """A text that is masked wherever it is printed."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __str__(self) -> str:
        return "********"

    def __repr__(self) -> str:
        return "Secret('********')"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)


Choice = TypeVar("Choice", bound=enum.StrEnum)


class Given:
    """A mapping of variables, read by kind of value. Spaces around a value do not count; empty means None."""

    def __init__(self, mapping: Mapping[str, str]) -> None:
        self._mapping = mapping

    def text(self, name: str) -> str | None:
        return self._mapping.get(name, "").strip() or None

    def secret(self, name: str) -> Secret | None:
        value = self.text(name)
        return Secret(value) if value else None

    def one_of(self, name: str, default: Choice) -> Choice:
        value = self.text(name) or default
        choices = type(default)
        try:
            return choices(value.lower())
        except ValueError:
            raise refusal(name, value, "one of " + ", ".join(choices)) from None

    def matching(self, name: str, default: str, pattern: str, allowed: str) -> str:
        value = self.text(name) or default
        if not re.fullmatch(pattern, value):
            raise refusal(name, value, allowed)
        return value

    def whole_number(self, name: str, default: int, least: int, most: int) -> int:
        value = self.text(name)
        if value is None:
            return default
        try:
            number = int(value)
        except ValueError:
            number = None
        if number is None or not least <= number <= most:
            raise refusal(name, value, f"a whole number from {least} to {most}")
        return number

    def yes_or_no(self, name: str) -> bool:
        value = (self.text(name) or "0").lower()
        if value not in (*YES, *NO):
            raise refusal(name, value, "1 or 0")
        return value in YES

    def positive_number(self, name: str, default: float) -> float:
        value = self.text(name)
        if value is None:
            return default
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not 0 < number < math.inf:
            raise refusal(name, value, "a number above 0")
        return number

    def https_url(self, name: str) -> str | None:
        """The URL without a slash at its end, so that paths can be appended."""
        value = self.text(name)
        if value is None:
            return None
        if not re.fullmatch(r"https://[\w.-]+(:[0-9]+)?(/[^\s?#]*)?", value):
            raise refusal(name, value, "the public address of this server, as in https://example.org")
        return value.rstrip("/")

    def phone_number(self, name: str) -> str | None:
        """In E.164, without spaces and punctuation."""
        value = self.text(name)
        if value is None:
            return None
        number = re.sub(r"[\s().-]", "", value)
        if not re.fullmatch(r"\+[1-9][0-9]{6,14}", number):
            raise refusal(name, value, "a number with its country code, as in +15551234567")
        return number

    def origins(self, name: str) -> tuple[str, ...]:
        """Web origins, as in ``https://example.org``, or ``*`` for all."""
        origins = tuple(origin.rstrip("/") for origin in self._listed(name))
        for origin in origins:
            if origin != "*" and not re.fullmatch(r"https?://[\w.-]+(:[0-9]+)?", origin):
                raise refusal(name, origin, "* or a list of origins, as in https://example.org")
        return origins

    def networks(self, name: str) -> tuple[str, ...]:
        """IP addresses and networks."""
        networks = self._listed(name)
        for network in networks:
            try:
                ipaddress.ip_network(network, strict=False)
            except ValueError:
                allowed = "a list of addresses or networks, as in 10.0.0.0/8, with commas between them"
                raise refusal(name, network, allowed) from None
        return networks

    def _listed(self, name: str) -> tuple[str, ...]:
        return tuple(item.strip() for item in (self.text(name) or "").split(",") if item.strip())

    def ice_urls(self, name: str) -> tuple[str, ...]:
        urls = self._listed(name)
        for url in urls:
            if not re.fullmatch(r"(turns?|stuns?):[^\s/]+", url):
                raise refusal(
                    name, url, "a list of URLs, as in turn:example.org:3478, with commas between them"
                )
        return urls


def refusal(name: str, value: str, allowed: str) -> SettingsError:
    # What stands before the @ of a URL is a name and a password.
    shown = re.sub(r"^(\w+://)?.*@", r"\1***@", value, flags=re.DOTALL)
    return SettingsError(f"{name} is {shown!r}, but it must be {allowed}.")
