"""How times of day, dates and years are said, as in American English. Pure."""

import re

from personaplex_ui.speech.synthesis.numbers import cardinal, ordinal, plural, year

MONTHS = ("January February March April May June July August September October November December").split()
_SHORT_MONTHS = {name[:3]: name for name in MONTHS} | {"Sept": "September"}
_MONTH = "|".join([*MONTHS, *(f"{short}\\.?" for short in sorted(_SHORT_MONTHS, key=len, reverse=True))])
_HALF = r"(?:[ ]?([ap])\.?m\b\.?(?=(\s+(?-i:[A-Z])|\s*$)?))"

CLOCK = re.compile(
    rf"(?<![\w:.])(\d{{1,2}})(?::|\.(?=\d\d ?[ap]\.?m\b))([0-5]\d)(?::([0-5]\d))?(?![\d:]){_HALF}?", re.I
)
HOUR = re.compile(rf"(?<![\w:.$£€,])(\d{{1,2}}){_HALF}", re.I)
HOURS_RANGE = re.compile(
    r"(?<![\w:.$£€,])(\d{1,2}(?::[0-5]\d)?) ?(?:([ap])\.?m\.?)? ?- ?"
    r"(?=\d{1,2}(?::[0-5]\d)? ?[ap]\.?m\b|\d{1,2}:[0-5]\d)",
    re.I,
)
ISO_DATE = re.compile(r"(?<![\w-])(\d{4})-(\d{1,2})-(\d{1,2})(?![\w-])")
SLASH_DATE = re.compile(r"(?<![\w/])(\d{1,2})/(\d{1,2})/(\d{4}|\d{2})(?![\w/])")
DOT_DATE = re.compile(r"(?<![\w.])(\d{1,2})\.(\d{1,2})\.(\d{4})(?![\w.]\d)")
MONTH_DAY = re.compile(
    rf"\b({_MONTH}) (\d{{1,2}})(?:st|nd|rd|th)?\b(?![:.]\d)"
    r"(?: ?- ?(\d{1,2})(?:st|nd|rd|th)?\b)?(?:,? (\d{4})\b)?"
)
DAY_MONTH = re.compile(
    rf"\b([Tt]he )?(\d{{1,2}})(?:st|nd|rd|th)? (?:of )?({_MONTH})(?:,? (\d{{4}})\b)?(?!\w)"
)
DECADE = re.compile(r"(?<![\w.,'])(?:(1[1-9]|20)|')(\d0)'?s\b")
YEAR = re.compile(
    r"(?<![\w.,$£€:/-])(1[1-9]\d\d|20\d\d)"
    r"(?![\w/%°]|[.,:]\d|-\d{1,3}\b| ?(?:million|billion|dollars|euros|pounds)\b)"
)
YEARS_RANGE = re.compile(r"(?<![\w.,$£€-])((?:1[1-9]|20)\d\d) ?- ?((?:1[1-9]|20)\d\d)(?![\w-]|[.,]\d)")


def hour_said(found: re.Match[str]) -> str:
    """``nine P.M`` for 9pm."""
    return f"{cardinal(int(found[1]))}{_half(found[2], found[3])}"


def clock_said(found: re.Match[str]) -> str:
    """``nine thirty`` for 9:30, ``nine o'clock`` for 9:00; hours of a 24-hour clock get A.M or P.M."""
    hour, minute, half = int(found[1]), int(found[2]), found[4]
    if hour > 24:
        return f"{cardinal(hour)} {cardinal(minute)}"
    ending = _half(half, found[5])
    if not half and (hour == 0 or hour > 12):
        ending = _half("a" if hour in (0, 24) else "p", None)
        hour = hour % 12 or 12
    words = cardinal(hour)
    if minute:
        words += f" {'oh ' if minute < 10 else ''}{cardinal(minute)}"
    elif not ending:
        words += " o'clock"
    if found[3] and int(found[3]):
        words += f" and {cardinal(int(found[3]))} seconds"
    return words + ending


def _half(letter: str | None, ends_sentence: str | None) -> str:
    if not letter:
        return ""
    return f" {letter.upper()}.M" + ("." if ends_sentence is not None else "")


def range_said(found: re.Match[str]) -> str:
    half = f" {found[2]}m" if found[2] else ""
    return f"{found[1]}{half} to "


def _month(name: str) -> str:
    return _SHORT_MONTHS.get(name.rstrip("."), name)


def _with_year(said: str, number: str | None) -> str:
    return f"{said}, {year(int(number))}" if number else said


def month_day_said(found: re.Match[str]) -> str:
    if not 1 <= int(found[2]) <= 31:
        return found[0]
    said = f"{_month(found[1])} {ordinal(int(found[2]))}"
    if found[3]:
        said += f" to {ordinal(int(found[3]))}"
    return _with_year(said, found[4])


def day_month_said(found: re.Match[str]) -> str:
    """``the third of March`` where it is written with its article, else ``March third``."""
    if not 1 <= int(found[2]) <= 31:
        return found[0]
    day, month = ordinal(int(found[2])), _month(found[3])
    return _with_year(f"{found[1]}{day} of {month}" if found[1] else f"{month} {day}", found[4])


def iso_date_said(found: re.Match[str]) -> str:
    return _date(found, int(found[2]), int(found[3]), found[1])


def slash_date_said(found: re.Match[str]) -> str:
    """Month first, unless it can only be a day."""
    month, day = int(found[1]), int(found[2])
    if month > 12:
        month, day = day, month
    return _date(found, month, day, found[3] if len(found[3]) == 4 else f"20{found[3]}")


def dot_date_said(found: re.Match[str]) -> str:
    return _date(found, int(found[2]), int(found[1]), found[3])


def _date(found: re.Match[str], month: int, day: int, number: str) -> str:
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return found[0]
    return _with_year(f"{MONTHS[month - 1]} {ordinal(day)}", number)


def year_said(found: re.Match[str]) -> str:
    return year(int(found[1]))


def years_range_said(found: re.Match[str]) -> str:
    return f"{year(int(found[1]))} to {year(int(found[2]))}"


def decade_said(found: re.Match[str]) -> str:
    if found[2] == "00":
        return f"{plural(year(int(found[1] + found[2])))}" if found[1] else found[0]
    said = plural(cardinal(int(found[2])))
    return f"{cardinal(int(found[1]))} {said}" if found[1] else said
