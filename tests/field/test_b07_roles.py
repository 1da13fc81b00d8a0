"""Roles as people paste them: from PowerPoint, Word, a telephone with this year's emoji."""

import json
import unicodedata
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

import pytest
from starlette.datastructures import QueryParams

from personaplex_ui.app.services import Services
from personaplex_ui.calls.settings import MAX_PROMPT_CHARACTERS, check_prompt
from personaplex_ui.channels.moshi.protocol import ProtocolError, Speak, parse
from personaplex_ui.channels.moshi.query import parse_query
from personaplex_ui.channels.twilio.call_tokens import CallTokens, persona_of
from personaplex_ui.channels.twilio.personas import PhonePersonas, check_announcement
from personaplex_ui.channels.twilio.twiml import connect, join_parameters
from personaplex_ui.config.settings import Settings
from personaplex_ui.errors import InvalidInput, SettingsError
from personaplex_ui.voices.library import VoiceLibrary

EMOJI_SINCE_2022 = "\U0001fae8\U0001fa75\U0001f6dc\U0001fae9\U0001fac6\U0001f6d8"
WORDS_BULLET = "\uf0b7"
BREAKS = ["\v", "\f", "\x85", "\u2028", "\u2029", "\r\n", "\r", "\n"]


def private_and_unassigned() -> list[str]:
    return [chr(n) for n in range(0x110000) if unicodedata.category(chr(n)) in ("Co", "Cn")]


@pytest.mark.parametrize(
    "role", [f"Be kind {EMOJI_SINCE_2022}", f"{WORDS_BULLET} Be kind.", "👩🏽‍🦽‍➡️", "\U0010fffd", "\u0378"]
)
def test_what_our_unicode_does_not_know_passes(role: str) -> None:
    assert check_prompt(role) == role


def test_every_private_and_unassigned_character_passes() -> None:
    characters = private_and_unassigned()
    assert len(characters) > 900_000
    for at in range(0, len(characters), 1_999):
        role = "x" + "".join(characters[at : at + 1_999])
        assert check_prompt(role) == role


@pytest.mark.parametrize("line_break", BREAKS)
def test_line_breaks_of_all_systems(line_break: str) -> None:
    assert (
        check_prompt(f"{line_break}You are kind.{line_break}You listen.{line_break}")
        == "You are kind.\nYou listen."
    )


def test_a_line_break_of_two_characters_counts_as_one() -> None:
    assert len(check_prompt("ab\r\n" * (MAX_PROMPT_CHARACTERS // 3))) < MAX_PROMPT_CHARACTERS
    assert check_prompt("a\n\r\n\rb\r\r\nc") == "a\n\n\nb\n\nc"
    with pytest.raises(InvalidInput, match="2,001 characters"):
        check_prompt("x" * 2_001)


@pytest.mark.parametrize(
    ("character", "name"),
    [
        ("\0", "U+0000"),
        ("\x07", "U+0007"),
        ("\x1b", "U+001B"),
        ("\x7f", "U+007F"),
        ("\x9d", "U+009D"),
        ("\ud83d", "U+D83D"),
    ],
)
def test_what_is_refused_is_named(character: str, name: str) -> None:
    with pytest.raises(InvalidInput, match="control characters") as refused:
        check_prompt(f"Be {character}kind.")
    assert refused.value.field == "text_prompt"
    assert name in str(refused.value)
    assert character not in str(refused.value)
    with pytest.raises(SettingsError, match="PHONE_ANNOUNCEMENT cannot be said") as unsaid:
        check_announcement(f"Hello{character}!", "PHONE_ANNOUNCEMENT")
    assert name in str(unsaid.value)


def test_of_many_some_are_named() -> None:
    with pytest.raises(InvalidInput) as refused:
        check_prompt("".join(map(chr, range(9))) * 50)
    assert "U+0000, U+0001, U+0002 and 6 more" in str(refused.value)
    assert len(str(refused.value)) < 200


# Wherever roles come in ------------------------------------------------------------------------------------

PASTED = f"\v{WORDS_BULLET} Be kind\v{EMOJI_SINCE_2022}\x85"
CLEAN = f"{WORDS_BULLET} Be kind\n{EMOJI_SINCE_2022}"


def test_in_the_query_of_the_websocket() -> None:
    query = QueryParams(urlsplit(f"ws://host/api/chat?text_prompt={quote(PASTED)}").query)
    assert check_prompt(str(parse_query(query)["text_prompt"])) == CLEAN


def test_in_the_personas_of_the_telephone() -> None:
    entries = {"*": {"text_prompt": PASTED, "announcement": PASTED}}
    persona = PhonePersonas.from_text(json.dumps(entries), VoiceLibrary()).of("+15550001111")
    assert (persona.text_prompt, persona.announcement) == (CLEAN, CLEAN)
    with pytest.raises(SettingsError, match=r"U\+0000"):
        PhonePersonas.from_text(json.dumps({"*": {"text_prompt": "a\0b"}}), VoiceLibrary())


def test_in_the_settings(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = str(tmp_path_factory.mktemp("recordings"))
    given = {"ENGINE": "echo", "RECORDINGS_DIR": folder}
    services = Services(Settings.from_mapping({**given, "DEFAULT_TEXT_PROMPT": PASTED}))
    assert services.previews._text_prompt == CLEAN  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(SettingsError, match=r"DEFAULT_TEXT_PROMPT.*U\+001B"):
        Services(Settings.from_mapping({**given, "DEFAULT_TEXT_PROMPT": "a\x1bb"}))


@pytest.mark.parametrize("role", [CLEAN, "\uffff\ufffe", "\ufdd0 \U0001fffe \U0010ffff"])
def test_a_role_reaches_the_telephone_through_xml(role: str) -> None:
    tokens = CallTokens(b"k" * 16)
    values = {"voice_prompt": "NATF0", "text_prompt": check_prompt(role)}
    xml = connect(
        "wss://host/stream", {**values, "token": tokens.issue(persona_of(values))}, announcement=role
    )
    parameters = {
        one.attrib["name"]: one.attrib["value"] for one in ElementTree.fromstring(xml).iter("Parameter")
    }
    arrived = join_parameters(parameters)
    assert check_prompt(arrived["text_prompt"])
    tokens.redeem(arrived["token"], persona_of(arrived))


def test_in_what_is_to_be_spoken() -> None:
    assert parse(b"\x07" + PASTED.encode()) == Speak(CLEAN)
    with pytest.raises(ProtocolError, match=r"U\+0000"):
        parse(b"\x07a\0b")
