"""Voice and role for each number that is called."""

import json
from pathlib import Path

import pytest

from personaplex_ui.channels.twilio.personas import PhonePersona, PhonePersonas
from personaplex_ui.errors import SettingsError
from personaplex_ui.voices.catalogue import Voice
from personaplex_ui.voices.library import VoiceLibrary

VOICES = VoiceLibrary([Voice("NATF2", "Natural female", "NATF2"), Voice("NATM1", "Natural male", "NATM1")])
SHOP = {"voice": "NATM1.pt", "text_prompt": " You work for a shop. ", "announcement": "Welcome!"}


def read(entries: object) -> PhonePersonas:
    return PhonePersonas.from_text(json.dumps(entries), VOICES)


def test_each_number_has_its_own() -> None:
    personas = read({"+1 (555) 123-4567": SHOP, "*": {"text_prompt": "Be kind."}})
    assert personas.of("+15551234567") == PhonePersona("NATM1", "You work for a shop.", "Welcome!")
    assert personas.of("+49301234567") == PhonePersona(text_prompt="Be kind.")
    assert personas.of("anonymous") == PhonePersona(text_prompt="Be kind.")


@pytest.mark.parametrize("given", [None, "", "{}"])
def test_without_entries_all_is_the_servers_own(given: str | None) -> None:
    assert PhonePersonas.from_text(given, VOICES).of("+15551234567") == PhonePersona()


def test_it_may_be_a_file(tmp_path: Path) -> None:
    path = tmp_path / "personas.json"
    path.write_text("\ufeff" + json.dumps({"+15551234567": SHOP}), encoding="utf-8")
    assert PhonePersonas.from_text(str(path), VOICES).of("+15551234567").voice == "NATM1"


UNUSABLE: list[tuple[object, str]] = [
    ({"+15550009876": {"voice": "NATX9"}}, "no voice “NATX9”"),
    ({"+15550009876": {"voice": None}}, "must be a name"),
    ({"+15550009876": {"voices": "NATF2"}}, "the only fields are voice, text_prompt, announcement"),
    ({"+15550009876": {"text_prompt": "x" * 2_001}}, "at most 2,000"),
    ({"+15550009876": {"text_prompt": None}}, "must be text"),
    ({"+15550009876": {"text_prompt": "a\x00b"}}, "control characters"),
    ({"+15550009876": {"announcement": "x" * 301}}, "at most 300"),
    ({"+15550009876": {"announcement": "a\x07"}}, "cannot be said"),
    ({"+15550009876": {"announcement": 7}}, "must be text"),
    ({"+15550009876": "NATF2"}, "must be an object"),
    ({"+15550009876": {}, "5550009876": {}}, "entry 2 is not a number"),
    ({"+15550009876": {}, "+1 555 000 9876": {}}, "twice"),
    ([], "one JSON object"),
    (dict.fromkeys((f"+4930{n:07}" for n in range(1_001)), SHOP), "at most 1,000"),
]


@pytest.mark.parametrize(("entries", "sentence"), UNUSABLE)
def test_what_cannot_be_used_is_a_sentence_at_start_up(
    entries: object, sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / "personas.json"
    path.write_text(json.dumps(entries))
    with pytest.raises(SettingsError, match=sentence) as refusal:
        PhonePersonas.from_text(str(path), VOICES)
    assert "PHONE_PERSONAS" in str(refusal.value)
    assert "5550009876" not in str(refusal.value)


@pytest.mark.parametrize(
    "given",
    [
        "{",
        '[{"+15550009876": {}}',
        '"{}',
        "'{\"+15550009876\": {}}'",
        '{"a": }',
        "{" * 100_000,
        "/nowhere/personas.json",
        ".",
        '{"+15550009876": {"voice": "NATF2"}',
    ],
)
def test_what_cannot_be_read_is_a_sentence(given: str) -> None:
    with pytest.raises(SettingsError, match=r"valid JSON|cannot be read"):
        PhonePersonas.from_text(given, VOICES)


@pytest.mark.parametrize("given", ["[]", ' [{"+15550009876": {}}]', '"personas.json"'])
def test_other_json_is_told_what_it_should_be(given: str) -> None:
    with pytest.raises(SettingsError, match="must be one JSON object of numbers, or the path of a file"):
        PhonePersonas.from_text(given, VOICES)


def test_entries_are_called_by_a_part_of_their_number() -> None:
    entries = dict(read({"+1 (555) 123-4567": SHOP, "*": {}}).entries())
    assert entries == {
        "the entry for +15…4567": PhonePersona("NATM1", "You work for a shop.", "Welcome!"),
        'the entry "*"': PhonePersona(),
    }


def test_a_file_of_other_bytes_or_far_too_many_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "personas.json"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="not UTF-8 text"):
        PhonePersonas.from_text(str(path), VOICES)
    path.write_bytes(b" " * 4_000_001)
    with pytest.raises(SettingsError, match="larger than"):
        PhonePersonas.from_text(str(path), VOICES)
