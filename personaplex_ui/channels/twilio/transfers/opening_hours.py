"""Opening hours as people write them: ``Mo-Fr 09:00-12:00,13:00-17:00; Sa 10:00-14:00``.

The common part of OpenStreetMap's notation: days, then times, then the next part after a semicolon. Pure: the
moment, in the time zone that is meant, is passed in, and hours are those of that zone's clocks.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
DAY_MINUTES: Final = 24 * 60
WEEK_MINUTES: Final = 7 * DAY_MINUTES
LONGEST: Final = 500
"""Characters."""

EXAMPLE: Final = "Mo-Fr 09:00-17:00; Sa 10:00-14:00"
ALWAYS: Final = "24/7"

_PART = re.compile(r"(?:(?P<days>[A-Za-z][A-Za-z,\- ]*?)\s+)?(?P<times>[0-9][0-9:,\- ]*)")
_TIMES = re.compile(r"([0-9]{1,2}):([0-9]{2})\s*-\s*([0-9]{1,2}):([0-9]{2})")


class HoursMalformed(ValueError):
    """The text is not opening hours; the message says which part of it, and what is expected."""


@dataclass(frozen=True, slots=True)
class OpeningHours:
    """``text``: as it was written. ``spans``: minutes of the week from Monday 0:00, ``[begin, end)``; an end
    may lie in the next week."""

    text: str
    spans: tuple[tuple[int, int], ...]

    @classmethod
    def parse(cls, text: str) -> "OpeningHours":
        """Parts without days are for every day. Times end up to 24:00, or after midnight if they end before
        they begin (``22:00-02:00``).

        Raises:
            HoursMalformed: it cannot be read.
        """
        written = " ".join(text.split())
        if len(written) > LONGEST:
            raise HoursMalformed(f"It is longer than {LONGEST} characters.")
        if written == ALWAYS:
            return cls(ALWAYS, ((0, WEEK_MINUTES),))
        spans: list[tuple[int, int]] = []
        for part in filter(None, (part.strip() for part in written.split(";"))):
            spans += _spans(part)
        if not spans:
            raise HoursMalformed(f"It names no hours. Write them as in {EXAMPLE}.")
        return cls(written, tuple(sorted(spans)))

    def is_open(self, now: datetime) -> bool:
        """``now``: in the hours' own time zone."""
        minute = _minute_of_week(now)
        return any(begin <= at < end for begin, end in self.spans for at in (minute, minute + WEEK_MINUTES))

    def next_opening(self, now: datetime) -> str:
        """When it opens next after ``now``, in words to be spoken: "today at 2 pm", "on Monday at 9 am"."""
        minute = _minute_of_week(now)
        in_minutes, begin = min(((begin - minute - 1) % WEEK_MINUTES + 1, begin) for begin, _ in self.spans)
        day, time = begin // DAY_MINUTES, _spoken_time(begin % DAY_MINUTES)
        match (minute % DAY_MINUTES + in_minutes) // DAY_MINUTES:
            case 0:
                return f"today at {time}"
            case 1:
                return f"tomorrow at {time}"
            case 7:
                return f"next {DAYS[day]} at {time}"
            case _:
                return f"on {DAYS[day]} at {time}"


def _spans(part: str) -> list[tuple[int, int]]:
    found = _PART.fullmatch(part)
    if found is None:
        raise HoursMalformed(f"{part[:60]!r} is not days and times. Write them as in {EXAMPLE}.")
    times = [_times(written.strip()) for written in found["times"].split(",")]
    days = _days(found["days"]) if found["days"] else list(range(len(DAYS)))
    begins = (day * DAY_MINUTES for day in sorted(set(days)))
    return [(day + begin, day + end) for day in begins for begin, end in times]


def _times(written: str) -> tuple[int, int]:
    found = _TIMES.fullmatch(written)
    if found is None:
        raise HoursMalformed(f"{written[:40]!r} is not a span of time. Write it as in 09:00-17:00.")
    hours = [int(found[number]) for number in (1, 3)]
    minutes = [int(found[number]) for number in (2, 4)]
    begin, end = (hour * 60 + minute for hour, minute in zip(hours, minutes, strict=True))
    if max(minutes) > 59 or begin >= DAY_MINUTES or end > DAY_MINUTES or begin == end:
        raise HoursMalformed(f"{written} is not a span of time from 00:00 to 24:00.")
    return begin, end if end > begin else end + DAY_MINUTES


def _days(written: str) -> list[int]:
    days: list[int] = []
    for listed in written.split(","):
        first, dash, last = (name.strip() for name in listed.partition("-"))
        begin = _day(first)
        end = _day(last) if dash else begin
        days += [(begin + number) % 7 for number in range((end - begin) % 7 + 1)]
    return days


def _day(name: str) -> int:
    """By its English name, or at least the first two letters of it."""
    for number, day in enumerate(DAYS):
        if len(name) >= 2 and day.lower().startswith(name.lower()):
            return number
    raise HoursMalformed(f"{name[:20]!r} is not a day. The days are Mo, Tu, We, Th, Fr, Sa and Su.")


def _minute_of_week(moment: datetime) -> int:
    return moment.weekday() * DAY_MINUTES + moment.hour * 60 + moment.minute


def _spoken_time(minute: int) -> str:
    hour, rest = divmod(minute, 60)
    half = "am" if hour < 12 else "pm"
    return f"{(hour - 1) % 12 + 1}{f':{rest:02}' if rest else ''} {half}"
