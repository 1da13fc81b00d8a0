"""Telephone numbers as people write them: the trunk's zero, other prefixes; and what is no number."""

import pytest

from personaplex_ui.channels.twilio.numbers import check_number, masked, normalised
from personaplex_ui.channels.twilio.personas import PhonePersonas
from personaplex_ui.config.settings import Settings
from personaplex_ui.errors import InvalidInput, SettingsError
from personaplex_ui.voices.library import VoiceLibrary


def full_width(text: str) -> str:
    """As a Japanese keyboard writes it."""
    return "".join(chr(ord(letter) + 0xFEE0) if letter != " " else "\N{IDEOGRAPHIC SPACE}" for letter in text)


AS_WRITTEN = [
    ("+44 (0)20 7946 0018", "+442079460018"),
    ("+44(0)2079460018", "+442079460018"),
    ("+44 020 7946 0018", "+442079460018"),
    ("(+44) 20 7946 0018", "+442079460018"),
    ("0044 20 7946 0018", "+442079460018"),
    ("0044 (0)20 7946 0018", "+442079460018"),
    ("00442079460018", "+442079460018"),
    ("tel:+44-20-7946-0018", "+442079460018"),
    ("+49 (0) 30 123456", "+4930123456"),
    ("+49 (0)30/1234567", "+49301234567"),
    ("+49.30.1234567", "+49301234567"),
    ("+33 (0)1 23 45 67 89", "+33123456789"),
    ("+31 (0) 20 123 4567", "+31201234567"),
    ("+7 (8) 495 123-45-67", "+74951234567"),
    ("+1 (1) 555 123 4567", "+15551234567"),
    ("+39 06 1234 5678", "+390612345678"),  # in Italy the zero belongs to the number
    ("+39 (06) 12345678", "+390612345678"),
    ("+1 (555) 123-4567", "+15551234567"),
    ("+1\N{NO-BREAK SPACE}555\N{EN DASH}123\N{NON-BREAKING HYPHEN}4567", "+15551234567"),
    (full_width("+44 (0)20 7946 0018"), "+442079460018"),
    ("\N{LEFT-TO-RIGHT MARK}+44 20 7946 0018\N{POP DIRECTIONAL FORMATTING}", "+442079460018"),
    ("+1 800 FLOWERS", "+18003569377"),
    (" +49 (30) 123-456/7 ", "+49301234567"),
]
NONE = [
    "",
    "+",
    "00",
    "2079460018",
    "020 7946 0018",  # of which country?
    "+44",
    "+1 555 123",  # too short
    "+1 555 1234",  # without its area code
    "+1 555 123 45678",  # too long
    "+49 1",
    "+999 123 456 789",  # no such country
    "+0 123 456 789",
    "+442079460018 or +442079460019",
    "call +442079460018",
    "+44 20 7946 0018?x=1",
    "sip:+442079460018@example.org",
    "tel:2079460018;phone-context=+44",
    "+44207946001\N{ARABIC-INDIC DIGIT EIGHT}",
    "++442079460018",
    "+44+2079460018",
    "+" + "1" * 30,
    "+" * 250,
    "client:tom",
]
SHORT = [
    "911",
    "112",
    "999",
    "110",
    "+1 911",
    "+44 999",
    "+49 110",
    "+49112",
    "+33 15",
    "+1911",
    "+44 (0)999",
]
EXTENDED = [
    "+44 20 7946 0018 ext. 5",
    "+44 20 7946 0018 x5",
    "+44 20 7946 0018#5",
    "tel:+442079460018;ext=5",
    "+15551234567,123",
]
COSTLY = [
    "+881612345678",  # a satellite
    "+44 (0)9012345678",
    "0044 70 1234 5678",
    "+49 (0)900 1234567",
    "+1 (900) 555-1234",
    "+41 (0)900 123 456",
]


def setting(written: str) -> str | None:
    given = {"TWILIO_PHONE_NUMBER": written, "TWILIO_AUTH_TOKEN": "a token"}
    return Settings.from_mapping(given).twilio_phone_number


@pytest.mark.parametrize(("written", "number"), AS_WRITTEN)
def test_a_number_is_understood_as_it_is_written(written: str, number: str) -> None:
    assert normalised(written) == number
    assert check_number(written) == number
    assert setting(written) == number


@pytest.mark.parametrize("written", [*NONE, *SHORT])
def test_what_is_no_number_is_refused_with_the_form_it_needs(written: str) -> None:
    assert normalised(written) is None
    with pytest.raises(InvalidInput, match="country code") as refusal:
        check_number(written)
    assert refusal.value.field == "to"
    if written:
        with pytest.raises(SettingsError, match="country code"):
            setting(written)


@pytest.mark.parametrize("given", ["+15551234567" + " " * 60, None, 15551234567, ["+15551234567"]])
def test_what_is_no_short_text_is_refused(given: object) -> None:
    with pytest.raises(InvalidInput, match="country code"):
        check_number(given)


@pytest.mark.parametrize("written", EXTENDED)
def test_an_extension_is_refused_in_words(written: str) -> None:
    assert normalised(written) is None
    with pytest.raises(InvalidInput, match="extension"):
        check_number(written)
    with pytest.raises(SettingsError, match="country code"):
        setting(written)


@pytest.mark.parametrize("written", COSTLY)
def test_a_costly_number_is_found_out_however_it_is_written(written: str) -> None:
    with pytest.raises(InvalidInput, match="premium") as refusal:
        check_number(written)
    assert "1234567" not in str(refusal.value)


def test_a_persona_belongs_to_a_number_however_either_is_written() -> None:
    personas = PhonePersonas.from_text('{"+44 (0)20 7946 0018": {"text_prompt": "Be kind."}}', VoiceLibrary())
    for called in ("+442079460018", "0044 20 7946 0018"):
        assert personas.of(called).text_prompt == "Be kind."


@pytest.mark.parametrize("called", ["+999123456789", "anonymous", "sip:tom@example.org", ""])
def test_a_call_to_what_is_no_number_is_anybodys(called: str) -> None:
    personas = PhonePersonas.from_text('{"*": {"text_prompt": "Be kind."}}', VoiceLibrary())
    assert personas.of(called).text_prompt == "Be kind."


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("+44 (0)20 7946 0018", "+44…0018"),
        ("+15551234567 ext. 99", "unknown"),
        ("+999123456789", "+99…6789"),  # a caller may be anybody
        ("+1 800 FLOWERS", "+18…9377"),
        ("+1234567", "+12…67"),
        ("anonymous", "unknown"),
        ("sip:tom@example.org", "unknown"),
        ("", "unknown"),
    ],
)
def test_numbers_are_shown_in_part_only(number: str, shown: str) -> None:
    assert masked(number) == shown
