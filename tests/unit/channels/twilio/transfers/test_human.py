"""The person to whom callers are put through: what settings may say of them, and for whom they are there."""

from datetime import UTC, datetime

import pytest

from personaplex_ui.channels.twilio.personas import PhonePersona
from personaplex_ui.channels.twilio.transfers.human import Human
from personaplex_ui.channels.twilio.transfers.opening_hours import OpeningHours
from personaplex_ui.errors import SettingsError

NUMBER = "+4930123456"
MONDAY_8_UTC = datetime(2026, 11, 30, 8, 0, tzinfo=UTC).timestamp()


def human(number: str = NUMBER, hours: str = "", zone: str = "UTC", phrases: str = "") -> Human:
    return Human.from_texts(number, hours, zone, phrases)


def test_hours_are_those_of_the_clocks_in_the_zone() -> None:
    berlin, here = (human(hours="Mo-Fr 09:00-17:00", zone=zone) for zone in ("Europe/Berlin", "UTC"))
    assert berlin.is_there(MONDAY_8_UTC)
    assert not here.is_there(MONDAY_8_UTC)
    assert here.next_time(MONDAY_8_UTC) == "today at 9 am"
    assert berlin.shown_hours == "Mo-Fr 09:00-17:00 (Europe/Berlin)"


def test_without_hours_somebody_is_always_there() -> None:
    assert human().is_there(MONDAY_8_UTC)
    assert human().shown_hours == "at any time"


def test_the_number_is_in_e164_and_shown_in_part() -> None:
    found = human("+49 (0)30 123456")
    assert (found.number, found.shown_number) == (NUMBER, "+49…3456")
    assert NUMBER not in repr(found)


def test_phrases_are_separated_by_semicolons() -> None:
    assert human(phrases=" I will  connect you; One moment! ;").phrases == (
        "I will connect you",
        "One moment!",
    )


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        ({"number": "112"}, "HUMAN_NUMBER: The number must be written with"),
        ({"number": "+1 900 555 0100"}, "HUMAN_NUMBER: This number belongs to a premium"),
        ({"number": "+15550001111 ext. 5"}, "HUMAN_NUMBER: The number has an extension"),
        ({"hours": "all day"}, "HUMAN_HOURS: 'all day' is not days and times"),
        (
            {"zone": "Berlin"},
            "HUMAN_TIMEZONE must name a time zone, as in Europe/Berlin; 'Berlin' is not one",
        ),
        ({"zone": "../../etc/passwd"}, "HUMAN_TIMEZONE must name a time zone"),
        ({"zone": "Europe"}, "HUMAN_TIMEZONE must name a time zone"),
        ({"zone": ""}, "HUMAN_TIMEZONE must name a time zone"),
        ({"phrases": "a" * 101}, "HUMAN_PHRASES: phrase 1 must be text of 1 to 100"),
        ({"phrases": "ok; a\x07b"}, "HUMAN_PHRASES: phrase 2 must be text"),
        ({"phrases": "a;" * 21}, "HUMAN_PHRASES has 21 phrases; at most 20"),
    ],
)
def test_what_cannot_be_used_is_a_sentence(texts: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingsError) as refused:
        human(**texts)
    assert sentence in str(refused.value)
    assert "0001111" not in str(refused.value)


def test_a_number_of_ours_takes_what_it_does_not_tell_from_the_default() -> None:
    default = human(hours="09:00-17:00", phrases="One moment")
    hours = OpeningHours.parse("10:00-11:00")
    assert PhonePersona().human(default) == default
    own = PhonePersona(human_number="+4940123456", human_hours=hours).human(default)
    assert own == Human("+4940123456", hours, default.zone, ("One moment",))
    assert PhonePersona(human_number="").human(default).number == ""
