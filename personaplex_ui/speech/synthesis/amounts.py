"""How money, percentages, measures, ordinals and plain numbers are said. Pure."""

import re

from personaplex_ui.speech.synthesis.numbers import cardinal, decimal, digits, is_one, ordinal

NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+"
_SCALE_WORDS = {"k": "thousand", "m": "million", "b": "billion", "bn": "billion", "mn": "million"}
_SCALE = r"(?: ?(thousand|million|billion|trillion)\b|(k|mn?|bn?)\b)?"
_CURRENCIES = {
    "$": ("dollar", "cent"), "£": ("pound", "penny"), "€": ("euro", "cent"), "¥": ("yen", ""),
    "usd": ("dollar", "cent"), "eur": ("euro", "cent"), "gbp": ("pound", "penny"),
}  # fmt: skip
_PLURALS = {"penny": "pence", "yen": "yen", "foot": "feet", "inch": "inches", "hertz": "hertz"}

MONEY = re.compile(rf"(?:US|CA|AU)?([$£€¥]) ?({NUMBER}){_SCALE}(?:(?: ?- ?)[$£€¥]?({NUMBER}){_SCALE})?", re.I)
MONEY_AFTER = re.compile(rf"(?<![\w.,])({NUMBER}) ?([$£€¥]|(?:USD|EUR|GBP)\b)")
PERCENT = re.compile(rf"(?<![\w.,])(-?)({NUMBER})(?: ?- ?({NUMBER}))? ?%")
ORDINAL = re.compile(r"(?<![\w.,])(\d{1,3}(?:,\d{3})+|\d{1,12})(?:st|nd|rd|th)\b", re.I)
_END = r"(?![\w/]|\.\d)"
FRACTION = re.compile(r"(?<![\w./])(?:(\d{1,3}) )?([1-9])/(2|3|4|5|8|10)" + _END)
PER = re.compile(
    r"(?<=[a-z]) ?/ ?"
    r"(?=(?:hour|hr|day|night|week|month|mo|year|yr|person|pp|kg|lb|min|minute|each|head|guest)\b)"
)
RANGE = re.compile(rf"(?<![\w.,-])({NUMBER}) ?- ?({NUMBER})(?![\w-]|[.,]\d)")
VERSION = re.compile(r"(?<![\w.,])v?(\d{1,5}(?:\.\d{1,5}){2,4})(?!\w|\.\d)")
PLAIN = re.compile(rf"((?<![\w.,)])-)?({NUMBER})")
THOUSANDS = re.compile(rf"(?<![\w.,])({NUMBER})k\b")
NAME_AND_NUMBER = re.compile(r"(?<=[A-Za-z])-(?=\d)|(?<=\d)-(?=[A-Za-z])")
RATIO = re.compile(r"(?<![\w:.,])(\d{1,3}):(\d{1,3})(?![\w:]|[.,]\d)")
RATING = re.compile(rf"(?<![\w.,/])({NUMBER})/(5|10|100)(?= ?(?:stars?|points?|rating)\b)")
MULTIPLIED = re.compile(rf"(?<![\w.,])({NUMBER})x(?!\w)")
BY = re.compile(r"(?<=\d) ?x ?(?=\d)")
DEGREES = re.compile(rf"(?<![\w.,])(-?)({NUMBER}) ?°(?: ?([CF])\b)?")

_UNITS = {
    "km": "kilometer", "m": "meter", "cm": "centimeter", "mm": "millimeter", "mi": "mile", "ft": "foot",
    "yd": "yard", "kg": "kilogram", "g": "gram", "mg": "milligram", "lb": "pound", "lbs": "pound",
    "oz": "ounce",
    "l": "liter", "L": "liter", "ml": "milliliter", "mL": "milliliter", "gal": "gallon",
    "mph": "mile per hour",
    "km/h": "kilometer per hour", "kph": "kilometer per hour", "GB": "gigabyte", "MB": "megabyte",
    "TB": "terabyte",
    "KB": "kilobyte", "kB": "kilobyte", "GHz": "gigahertz", "MHz": "megahertz", "kHz": "kilohertz",
    "Hz": "hertz",
    "kWh": "kilowatt hour", "kW": "kilowatt", "W": "watt", "V": "volt", "min": "minute", "mins": "minute",
    "sec": "second", "secs": "second", "s": "second", "ms": "millisecond", "hr": "hour", "hrs": "hour",
    "h": "hour", "yr": "year", "yrs": "year", "wk": "week", "wks": "week", "sq ft": "square foot",
    "sqft": "square foot", "sq m": "square meter", "m2": "square meter", "mo": "month", "mos": "month",
    "pcs": "piece", "pt": "point", "pts": "point",
}  # fmt: skip
_UNIT = "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))
MEASURE = re.compile(rf"(?<![\w.,])({NUMBER})(?: ?- ?({NUMBER}))?[ -]?({_UNIT})(?![\w/']|\.\w)")


FRACTION_MEASURE = re.compile(rf"{FRACTION.pattern[: -len(_END)]}[ -]?({_UNIT})(?![\w/']|\.\w)")


def _counted(number: str, unit: str) -> str:
    return unit if is_one(number) else plural_unit(unit)


def plural_unit(unit: str) -> str:
    """``miles per hour`` for mile per hour."""
    head, per, rest = unit.partition(" per ")
    *before, noun = head.split()
    noun = _PLURALS.get(noun) or (noun if noun.endswith("hertz") else f"{noun}s")
    return " ".join([*before, noun]) + per + rest


def money_said(found: re.Match[str]) -> str:
    sign, low, low_scale, high = found[1], found[2], found[3] or found[4], found[5]
    if high:
        scale = found[6] or found[7]
        return f"{_sum(low, low_scale or scale, sign, bare=True)} to {_sum(high, scale, sign)}"
    return _sum(low, low_scale, sign)


def money_after_said(found: re.Match[str]) -> str:
    return _sum(found[1], None, found[2].lower())


def _sum(number: str, scale: str | None, sign: str, bare: bool = False) -> str:
    unit, small = _CURRENCIES[sign]
    if scale:
        said = f"{decimal(number)} {_SCALE_WORDS.get(scale.lower(), scale.lower())}"
        return said if bare else f"{said} {plural_unit(unit)}"
    whole, _, rest = number.replace(",", "").partition(".")
    if rest and (len(rest) > 2 or not small):
        return decimal(number) if bare else f"{decimal(number)} {plural_unit(unit)}"
    cents = int(rest.ljust(2, "0") or "0") if rest else 0
    parts: list[str] = []
    if int(whole or "0") or not cents:
        words = decimal(whole or "0")
        parts.append(words if bare and not cents else f"{words} {_counted(whole or '0', unit)}")
    if cents:
        parts.append(f"{cardinal(cents)} {_counted(str(cents), small)}")
    return " and ".join(parts)


def percent_said(found: re.Match[str]) -> str:
    said = ("minus " if found[1] else "") + decimal(found[2])
    return f"{said} to {decimal(found[3])} percent" if found[3] else f"{said} percent"


def ordinal_said(found: re.Match[str]) -> str:
    return ordinal(int(found[1].replace(",", "")))


def fraction_said(found: re.Match[str]) -> str:
    over, under = int(found[2]), int(found[3])
    if under == 2:
        said = "half" if over == 1 else f"{cardinal(over)} halves"
    else:
        said = "quarter" if under == 4 else ordinal(under)
        said = said if over == 1 else f"{cardinal(over)} {said}s"
    if not found[1]:
        return f"one {said}" if over == 1 else said
    return f"{cardinal(int(found[1]))} and {'a ' if over == 1 else ''}{said}"


def fraction_measure_said(found: re.Match[str]) -> str:
    unit = _UNITS[found[4]]
    return f"{fraction_said(found)} {plural_unit(unit) if found[1] else unit}"


def measure_said(found: re.Match[str]) -> str:
    unit = _UNITS[found[3]]
    if found[2]:
        return f"{decimal(found[1])} to {decimal(found[2])} {plural_unit(unit)}"
    return f"{decimal(found[1])} {_counted(found[1], unit)}"


def degrees_said(found: re.Match[str]) -> str:
    scale = {"C": " Celsius", "F": " Fahrenheit"}.get(found[3] or "", "")
    return f"{'minus ' if found[1] else ''}{decimal(found[2])} {_counted(found[2], 'degree')}{scale}"


def thousands_said(found: re.Match[str]) -> str:
    return f"{decimal(found[1])} thousand"


def version_said(found: re.Match[str]) -> str:
    return " point ".join(decimal(part) for part in found[1].split("."))


def range_said(found: re.Match[str]) -> str:
    return f"{decimal(found[1])} to {decimal(found[2])}"


def rating_said(found: re.Match[str]) -> str:
    return f"{decimal(found[1])} out of {decimal(found[2])}"


def multiplied_said(found: re.Match[str]) -> str:
    return f"{decimal(found[1])} times"


def plain_said(found: re.Match[str]) -> str:
    """A number that is nothing else. More than 6 digits without commas are a number to be noted down."""
    number = found[2]
    whole = number.partition(".")[0]
    said = digits(number) if "." not in number and len(whole) > 6 and "," not in number else decimal(number)
    return f" {'minus ' if found[1] else ''}{said} "
