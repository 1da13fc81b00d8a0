"""The person to whom callers can be put through: number, hours, and the phrases that ask for them.

Depends on values, not on calls. Nothing that a caller says or sends chooses the number.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast
from zoneinfo import ZoneInfo

from personaplex_ui.channels.twilio.numbers import check_number, masked
from personaplex_ui.channels.twilio.transfers.opening_hours import HoursMalformed, OpeningHours
from personaplex_ui.errors import InvalidInput, SettingsError
from personaplex_ui.plain_text import unusable_characters

UTC = ZoneInfo("UTC")
MOST_PHRASES = 20
LONGEST_PHRASE = 100
"""Characters."""


@dataclass(frozen=True, slots=True)
class Human:
    """``number``: in E.164; empty if nobody can be put through to. ``hours``: of the clocks in ``zone``; None
    means always. ``phrases``: what the assistant says to put the caller through."""

    number: str = field(default="", repr=False)
    hours: OpeningHours | None = None
    zone: ZoneInfo = UTC
    phrases: tuple[str, ...] = ()

    @classmethod
    def from_texts(cls, number: str, hours: str, zone: str, phrases: str) -> "Human":
        """From the settings HUMAN_NUMBER, HUMAN_HOURS, HUMAN_TIMEZONE and HUMAN_PHRASES, in which semicolons
        separate phrases. Empty hours mean always. Raises SettingsError."""
        listed = [phrase for phrase in phrases.split(";") if phrase.strip()]
        return cls(
            check_human_number(number, "HUMAN_NUMBER"),
            check_hours(hours, "HUMAN_HOURS") if hours else None,
            check_zone(zone, "HUMAN_TIMEZONE"),
            check_phrases(listed, "HUMAN_PHRASES"),
        )

    @property
    def shown_number(self) -> str:
        return masked(self.number)

    def is_there(self, at: float) -> bool:
        """``at``: as from ``time.time``."""
        return self.hours is None or self.hours.is_open(self._moment(at))

    def next_time(self, at: float) -> str:
        """When somebody is there next, in words to be spoken; only where there are hours."""
        assert self.hours is not None
        return self.hours.next_opening(self._moment(at))

    @property
    def shown_hours(self) -> str:
        return "at any time" if self.hours is None else f"{self.hours.text} ({self.zone.key})"

    def _moment(self, at: float) -> datetime:
        return datetime.fromtimestamp(at, self.zone)


def check_human_number(value: object, name: str) -> str:
    """``value`` in E.164, or empty. Raises SettingsError, whose message calls it ``name`` and does not quote
    it."""
    if value == "":
        return ""
    try:
        return check_number(value, name)
    except InvalidInput as refused:
        raise SettingsError(f"{name}: {refused}") from None


def check_hours(value: object, name: str) -> OpeningHours:
    """Raises SettingsError."""
    if not isinstance(value, str):
        raise SettingsError(f"{name} must be text.")
    try:
        return OpeningHours.parse(value)
    except HoursMalformed as malformed:
        raise SettingsError(f"{name}: {malformed}") from None


def check_zone(value: object, name: str) -> ZoneInfo:
    """Raises SettingsError."""
    try:
        return ZoneInfo(value if isinstance(value, str) else "")
    except (KeyError, ValueError, OSError):  # unknown; a path; a folder of the zones
        shown = f"{value[:40]!r} is not one" if isinstance(value, str) else "it must be text"
        raise SettingsError(f"{name} must name a time zone, as in Europe/Berlin; {shown}.") from None


def check_phrases(value: object, name: str) -> tuple[str, ...]:
    """``value``: a list of texts. Raises SettingsError."""
    if not isinstance(value, list | tuple):
        raise SettingsError(f'{name} must be a list of phrases, as in ["I will connect you to a colleague"].')
    given = cast(Sequence[object], value)
    if len(given) > MOST_PHRASES:
        raise SettingsError(f"{name} has {len(given)} phrases; at most {MOST_PHRASES} fit.")
    phrases = [" ".join(phrase.split()) if isinstance(phrase, str) else "" for phrase in given]
    for place, phrase in enumerate(phrases, start=1):
        if not phrase or len(phrase) > LONGEST_PHRASE or unusable_characters(phrase):
            raise SettingsError(f"{name}: phrase {place} must be text of 1 to {LONGEST_PHRASE} characters.")
    return tuple(phrases)
