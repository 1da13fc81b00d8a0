"""The persona that answers each called number: voice, role, announcement, and the person behind it.

Parses the file and checks it at startup; independent of calls and the web.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter, ValidationError

from personaplex_ui.calls.settings import check_prompt
from personaplex_ui.channels.twilio.numbers import masked, normalised
from personaplex_ui.channels.twilio.transfers.human import (
    Human,
    check_hours,
    check_human_number,
    check_phrases,
    check_zone,
)
from personaplex_ui.channels.twilio.transfers.opening_hours import OpeningHours
from personaplex_ui.errors import InvalidInput, SettingsError
from personaplex_ui.plain_text import unusable_characters, with_line_breaks
from personaplex_ui.voices.library import VoiceLibrary

ANY_NUMBER = "*"
BEGINS_JSON = tuple("{[\"'")
"""How JSON begins, possibly with extra quotation marks around it; anything else is a path."""
MOST_NUMBERS = 1_000
MOST_BYTES = 4_000_000
MOST_ANNOUNCEMENT_CHARACTERS = 300
"""Some twenty seconds of speech, after which the stream's token is still valid."""

_ENTRIES = TypeAdapter(dict[str, dict[str, object]])


@dataclass(frozen=True, slots=True)
class PhonePersona:
    """``None`` stands for the server's default. ``announcement``: said before the assistant; may be empty.
    ``human_number``: whom callers can be put through to; empty for nobody."""

    voice: str | None = None
    text_prompt: str | None = None
    announcement: str | None = None
    human_number: str | None = field(default=None, repr=False)
    human_hours: OpeningHours | None = None
    human_timezone: ZoneInfo | None = None
    human_phrases: tuple[str, ...] | None = None

    def human(self, default: Human) -> Human:
        """The person behind it; what is not told is as in ``default``."""
        own = {
            "number": self.human_number,
            "hours": self.human_hours,
            "zone": self.human_timezone,
            "phrases": self.human_phrases,
        }
        return replace(default, **{name: value for name, value in own.items() if value is not None})


class PhonePersonas:
    """``personas`` by E.164 number; ``*`` stands for all other numbers."""

    def __init__(self, personas: Mapping[str, PhonePersona] | None = None) -> None:
        self._personas = dict(personas or {})

    @classmethod
    def from_text(cls, given: str | None, voices: VoiceLibrary) -> "PhonePersonas":
        """``given``: the path of a JSON file, or the JSON itself; None for no entries.

        Raises:
            SettingsError: it cannot be read, or an entry cannot be used; the message says which.
        """
        if not given:
            return cls()
        entries = _parse(given if given.lstrip().startswith(BEGINS_JSON) else _read(Path(given)))
        personas: dict[str, PhonePersona] = {}
        for place, (key, entry) in enumerate(entries.items(), start=1):
            number = key if key == ANY_NUMBER else normalised(key)
            if number is None:
                raise SettingsError(
                    f"PHONE_PERSONAS: the key of entry {place} is not a number. Write it with + and its "
                    'country code, such as +15551234567, or "*" for all other numbers.'
                )
            if number in personas:
                raise SettingsError(f"PHONE_PERSONAS: {_shown(number)} is listed twice.")
            personas[number] = _persona(_shown(number), entry, voices)
        return cls(personas)

    def of(self, called_number: str) -> PhonePersona:
        """The persona of a called number, in any notation."""
        number = normalised(called_number) or ""
        return self._personas.get(number) or self._personas.get(ANY_NUMBER) or PhonePersona()

    def check_humans(self, default: Human, our_number: str) -> None:
        """Refuse to put callers through to ourselves: this server would call itself, and again from there.

        Raises:
            SettingsError: a person's number is ``our_number``, or has an entry here.
        """
        people = [default, *(persona.human(default) for persona in self._personas.values())]
        if any(human.number and human.number in (our_number, *self._personas) for human in people):
            raise SettingsError(
                "HUMAN_NUMBER, or a human_number of PHONE_PERSONAS, is a number that this server answers. "
                "Name the telephone of a person."
            )

    def entries(self) -> Iterator[tuple[str, PhonePersona]]:
        """Each entry's display name, with its number masked, and its persona."""
        for number, persona in self._personas.items():
            yield _shown(number), persona


def check_announcement(value: object, name: str) -> str:
    """Check what is said before a call. Raises SettingsError, whose message calls it ``name``."""
    if not isinstance(value, str):
        raise SettingsError(f"{name} must be text.")
    announcement = with_line_breaks(value).strip()
    if unusable := unusable_characters(announcement):
        raise SettingsError(f"{name} cannot be said: it contains the control characters {unusable}.")
    if len(announcement) > MOST_ANNOUNCEMENT_CHARACTERS:
        raise SettingsError(
            f"{name} has {len(announcement)} characters; at most {MOST_ANNOUNCEMENT_CHARACTERS} fit."
        )
    return announcement


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise SettingsError(f"PHONE_PERSONAS: {path} is larger than {MOST_BYTES:,} bytes.")
        return content.decode("utf-8-sig")
    except (OSError, ValueError) as error:
        what = (isinstance(error, OSError) and error.strerror) or "it is not UTF-8 text"
        raise SettingsError(f"PHONE_PERSONAS: the file {path} cannot be read: {what}.") from error


def _parse(text: str) -> dict[str, dict[str, object]]:
    try:
        entries = _ENTRIES.validate_json(text)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        sentence = (
            "PHONE_PERSONAS must be one JSON object of numbers, or the path of a file with one. "
            "docs/PHONE.md shows one."
        )
        if fault["type"] == "json_invalid":
            sentence = f"PHONE_PERSONAS is not valid JSON: {fault['msg']}. docs/PHONE.md shows one."
        elif fault["loc"]:
            shown = _shown(str(fault["loc"][0]))
            sentence = f"PHONE_PERSONAS: the value of {shown} must be an object in braces."
        raise SettingsError(sentence) from None
    if len(entries) > MOST_NUMBERS:
        raise SettingsError(f"PHONE_PERSONAS has {len(entries):,} entries; at most {MOST_NUMBERS:,} fit.")
    return entries


def _persona(shown: str, entry: dict[str, object], voices: VoiceLibrary) -> PhonePersona:
    def named(field: str, check: Callable[[object, str], Any]) -> Callable[[object], Any]:
        return lambda value: check(value, f"PHONE_PERSONAS: the {field} of {shown}")

    checks: dict[str, Callable[[object], Any]] = {
        "voice": voices.check,
        # check_prompt treats None as an empty role; in a file it is a mistake.
        "text_prompt": lambda value: check_prompt(0 if value is None else value),
        "announcement": named("announcement", check_announcement),
        "human_number": named("human_number", check_human_number),
        "human_hours": named("human_hours", check_hours),
        "human_timezone": named("human_timezone", check_zone),
        "human_phrases": named("human_phrases", check_phrases),
    }
    if unknown := sorted(entry.keys() - checks.keys()):
        raise SettingsError(
            f"PHONE_PERSONAS: {shown} has {unknown[0][:40]!r}; the only fields are {', '.join(checks)}."
        )
    try:
        return PhonePersona(**{name: checks[name](value) for name, value in entry.items()})
    except InvalidInput as error:
        raise SettingsError(f"PHONE_PERSONAS: {shown}: {error}") from error


def _shown(number: str) -> str:
    return 'the entry "*"' if number == ANY_NUMBER else f"the entry for {masked(number)}"
