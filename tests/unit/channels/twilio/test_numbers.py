"""Telephone numbers."""

import pytest

from personaplex_ui.channels.twilio.numbers import check_number, masked, normalised
from personaplex_ui.errors import InvalidInput


@pytest.mark.parametrize(
    ("given", "number"),
    [
        ("+15551234567", "+15551234567"),
        (" +49 (30) 123-456/7 ", "+49301234567"),
        ("+44 20 7946 0958", "+442079460958"),
        ("+4930\N{NON-BREAKING HYPHEN}1234567", "+49301234567"),
    ],
)
def test_a_number_however_it_is_written(given: str, number: str) -> None:
    assert normalised(given) == number
    assert check_number(given) == number


@pytest.mark.parametrize(
    "given",
    [
        "",
        "911",
        "112",
        "+911",
        "+112",
        "5551234567",
        "+0123456789",
        "+123456",
        "+1234567890123456",
        "+1555123456x",
        "+1555\u0661\u0662\u0663\u0664\u0665\u0666\u0667",
        "++15551234567",
        "sip:tom@example.org",
        "client:tom",
        "+15551234567" + " " * 60,
        None,
        15551234567,
        ["+15551234567"],
    ],
)
def test_anything_else_is_refused_with_the_form_it_needs(given: object) -> None:
    with pytest.raises(InvalidInput, match="country code") as refusal:
        check_number(given)
    assert refusal.value.field == "to"


@pytest.mark.parametrize("number", ["+19005551234", "+449012345678", "+49900123456", "+881612345678"])
def test_premium_numbers_are_refused_without_repeating_them(number: str) -> None:
    with pytest.raises(InvalidInput, match="premium") as refusal:
        check_number(number)
    assert number not in str(refusal.value)


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("+4915112341234", "+49…1234"),
        ("+15551234567", "+15…4567"),
        ("+1234567", "+12…67"),
        ("anonymous", "unknown"),
        ("sip:tom@example.org", "unknown"),
        ("", "unknown"),
    ],
)
def test_of_a_number_only_its_ends_are_shown(number: str, shown: str) -> None:
    assert masked(number) == shown
