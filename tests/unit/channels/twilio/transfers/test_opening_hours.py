"""Opening hours: how people write them, when they are open, and when they open next."""

from datetime import datetime, timedelta

import pytest

from personaplex_ui.channels.twilio.transfers.opening_hours import (
    ALWAYS,
    WEEK_MINUTES,
    HoursMalformed,
    OpeningHours,
)

MONDAY = datetime(2026, 11, 30)
SHOP = "Mo-Fr 09:00-12:00,13:00-17:00; Sa 10:00-14:00"


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """``day``: 0 for Monday."""
    return MONDAY + timedelta(days=day, hours=hour, minutes=minute)


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        (at(0, 8, 59), False),
        (at(0, 9), True),
        (at(4, 11, 59), True),
        (at(4, 12), False),
        (at(4, 16, 59), True),
        (at(4, 17), False),
        (at(5, 10), True),
        (at(5, 14), False),
        (at(6, 11), False),
    ],
)
def test_it_is_open_from_the_first_minute_to_the_last(moment: datetime, is_open: bool) -> None:
    assert OpeningHours.parse(SHOP).is_open(moment) is is_open


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        (at(0, 8), "today at 9 am"),
        (at(0, 12, 30), "today at 1 pm"),
        (at(0, 17), "tomorrow at 9 am"),
        (at(4, 18), "tomorrow at 10 am"),
        (at(5, 14), "on Monday at 9 am"),
        (at(6, 23, 59), "tomorrow at 9 am"),
    ],
)
def test_it_tells_when_it_opens_next(moment: datetime, words: str) -> None:
    assert OpeningHours.parse(SHOP).next_opening(moment) == words


@pytest.mark.parametrize(
    ("hours", "moment", "words"),
    [
        ("Mo 09:30-10:00", at(0, 10), "next Monday at 9:30 am"),
        ("Mo 09:00-10:00", at(0, 9), "next Monday at 9 am"),  # as long as it is open
        ("We 00:00-01:00", at(0, 12), "on Wednesday at 12 am"),
        ("12:00-13:05", at(0, 14), "tomorrow at 12 pm"),
        ("Mo 23:05-24:00", at(6, 22), "tomorrow at 11:05 pm"),
    ],
)
def test_times_are_told_as_they_are_said(hours: str, moment: datetime, words: str) -> None:
    assert OpeningHours.parse(hours).next_opening(moment) == words


@pytest.mark.parametrize(
    ("written", "same"),
    [
        ("monday-friday 9:00-17:00", "Mo-Fr 09:00-17:00"),
        (" Mo , We,Fr 08:00 - 10:00 ;", "Mo 08:00-10:00; We 08:00-10:00; Fr 08:00-10:00"),
        ("Sa-Mo 10:00-12:00", "Sa,Su,Mo 10:00-12:00"),
        ("10:00-12:00", "Mo-Su 10:00-12:00"),
        ("Mo,Mo-Tu 10:00-12:00", "Mo 10:00-12:00; Tu 10:00-12:00"),
    ],
)
def test_people_write_the_same_in_many_ways(written: str, same: str) -> None:
    assert OpeningHours.parse(written).spans == OpeningHours.parse(same).spans


def test_a_span_may_end_after_midnight_and_the_week_goes_round() -> None:
    night = OpeningHours.parse("Su 22:00-02:00")
    assert [night.is_open(at(*moment)) for moment in [(6, 23), (0, 1, 59), (0, 2), (6, 21)]] == [
        True,
        True,
        False,
        False,
    ]
    always = OpeningHours.parse(ALWAYS)
    assert all(always.is_open(MONDAY + timedelta(minutes=minute)) for minute in range(0, WEEK_MINUTES, 31))


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("", "names no hours"),
        (" ; ", "names no hours"),
        ("Mo-Fr", "not days and times"),
        ("nine to five", "not days and times"),
        ("Mo-Fr 9-17", "'9-17' is not a span"),
        ("Mo-Fr 09:00-17:00,", "'' is not a span"),
        ("Mo-Fr 09:00-25:00", "from 00:00 to 24:00"),
        ("Mo-Fr 24:00-24:00", "from 00:00 to 24:00"),
        ("Mo-Fr 09:60-10:00", "from 00:00 to 24:00"),
        ("Mo-Fr 09:00-09:00", "from 00:00 to 24:00"),
        ("M 09:00-17:00", "'M' is not a day"),
        ("Mo-Xx 09:00-17:00", "'Xx' is not a day"),
        ("Mo- 09:00-17:00", "'' is not a day"),
        ("Mo 09:00-17:00; " * 50, "longer than 500"),
    ],
)
def test_what_cannot_be_read_is_a_sentence(written: str, sentence: str) -> None:
    with pytest.raises(HoursMalformed, match=sentence):
        OpeningHours.parse(written)
