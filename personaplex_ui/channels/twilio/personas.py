"""The persona that answers each called number: voice, role and announcement.

Parses the file and checks it at startup; independent of calls and the web.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from personaplex_ui.calls.settings import check_prompt
from personaplex_ui.channels.twilio.numbers import masked, normalised
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
    """``None`` stands for the server's default. ``announcement``: said before the assistant; may be empty."""

    voice: str | None = None
    text_prompt: str | None = None
    announcement: str | None = None


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
    checks: dict[str, Callable[[object], str]] = {
        "voice": voices.check,
        # check_prompt treats None as an empty role; in a file it is a mistake.
        "text_prompt": lambda value: check_prompt(0 if value is None else value),
        "announcement": lambda value: check_announcement(
            value, f"PHONE_PERSONAS: the announcement of {shown}"
        ),
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
