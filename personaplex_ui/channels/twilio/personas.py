"""As whom the assistant answers: voice, role and announcement for each number that is called.

Knows the file's form and checks it at start-up; no call, no web.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from personaplex_ui.calls.settings import check_prompt
from personaplex_ui.channels.twilio.numbers import masked, normalised
from personaplex_ui.errors import InvalidInput, SettingsError
from personaplex_ui.plain_text import unusable_characters, with_line_breaks
from personaplex_ui.voices.library import VoiceLibrary

KEYS = ("voice", "text_prompt", "announcement")
ANY_NUMBER = "*"
BEGINS_JSON = tuple("{[\"'")
"""Of whatever kind: in quotation marks too many, too."""
MOST_NUMBERS = 1_000
MOST_BYTES = 4_000_000
MOST_ANNOUNCEMENT_CHARACTERS = 300
"""Some twenty seconds of speech, after which the token of the stream still holds."""


@dataclass(frozen=True, slots=True)
class PhonePersona:
    """``None``: the server's own. ``announcement``: said before the assistant answers; may be empty."""

    voice: str | None = None
    text_prompt: str | None = None
    announcement: str | None = None


class PhonePersonas:
    """``personas`` by E.164 number, and under ``*`` the one of all other numbers."""

    def __init__(self, personas: Mapping[str, PhonePersona] | None = None) -> None:
        self._personas = dict(personas or {})

    @classmethod
    def from_text(cls, given: str | None, voices: VoiceLibrary) -> "PhonePersonas":
        """``given``: the path of a JSON file, or the JSON itself; None for no entries.

        Raises:
            SettingsError: it cannot be read, or an entry cannot be used; the sentence says which.
        """
        if not given:
            return cls()
        entries = _parse(given if given.lstrip().startswith(BEGINS_JSON) else _read(Path(given)))
        personas: dict[str, PhonePersona] = {}
        for place, (key, entry) in enumerate(entries.items(), start=1):
            number = key if key == ANY_NUMBER else normalised(key)
            if number is None:
                raise SettingsError(
                    f"PHONE_PERSONAS: the key of entry {place} is no number. Write it with + and its country "
                    'code, as in +15551234567, or "*" for all other numbers.'
                )
            if number in personas:
                raise SettingsError(f"PHONE_PERSONAS: {_shown(number)} stands there twice.")
            personas[number] = _persona(_shown(number), entry, voices)
        return cls(personas)

    def of(self, called_number: str) -> PhonePersona:
        """The persona of a number that was called, however it is written."""
        number = normalised(called_number) or ""
        return self._personas.get(number) or self._personas.get(ANY_NUMBER) or PhonePersona()

    def entries(self) -> Iterator[tuple[str, PhonePersona]]:
        """Each entry's persona, with how the entry is called: its number in part only."""
        for number, persona in self._personas.items():
            yield _shown(number), persona


def check_announcement(value: object, name: str) -> str:
    """What is said before a call. Raises SettingsError, which calls it ``name``."""
    if not isinstance(value, str):
        raise SettingsError(f"{name} must be a text.")
    announcement = with_line_breaks(value).strip()
    if unusable := unusable_characters(announcement):
        raise SettingsError(f"{name} cannot be said: it contains the control characters {unusable}.")
    if len(announcement) > MOST_ANNOUNCEMENT_CHARACTERS:
        raise SettingsError(
            f"{name} has {len(announcement)} characters; at most {MOST_ANNOUNCEMENT_CHARACTERS} are said."
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
        what = (isinstance(error, OSError) and error.strerror) or "it is no UTF-8 text"
        raise SettingsError(f"PHONE_PERSONAS: the file {path} cannot be read: {what}.") from error


def _parse(text: str) -> dict[str, object]:
    try:
        entries: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f" at line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise SettingsError(f"PHONE_PERSONAS is no valid JSON{where}. docs/PHONE.md shows one.") from error
    if not isinstance(entries, dict):
        raise SettingsError(
            "PHONE_PERSONAS must be one JSON object of numbers, or the path of a file with one. "
            "docs/PHONE.md shows one."
        )
    found = cast(dict[str, object], entries)
    if len(found) > MOST_NUMBERS:
        raise SettingsError(f"PHONE_PERSONAS has {len(found):,} entries; at most {MOST_NUMBERS:,} fit.")
    return found


def _persona(shown: str, entry: object, voices: VoiceLibrary) -> PhonePersona:
    if not isinstance(entry, dict):
        raise SettingsError(f"PHONE_PERSONAS: what stands for {shown} must be an object in braces.")
    values = cast(dict[str, object], entry)
    unknown = sorted(values.keys() - set(KEYS))
    if unknown:
        raise SettingsError(
            f"PHONE_PERSONAS: {shown} has {unknown[0][:40]!r}, but there are only {', '.join(KEYS)}."
        )
    try:
        voice = voices.check(values["voice"]) if "voice" in values else None
        prompt = check_prompt(_text(values["text_prompt"])) if "text_prompt" in values else None
    except InvalidInput as error:
        raise SettingsError(f"PHONE_PERSONAS: {shown}: {error}") from error
    announcement = (
        check_announcement(values["announcement"], f"PHONE_PERSONAS: the announcement of {shown}")
        if "announcement" in values
        else None
    )
    return PhonePersona(voice, prompt, announcement)


def _text(value: object) -> object:
    # check_prompt takes None for an empty role; in a file it is a mistake.
    return 0 if value is None else value


def _shown(number: str) -> str:
    return 'the entry "*"' if number == ANY_NUMBER else f"the entry of {masked(number)}"
