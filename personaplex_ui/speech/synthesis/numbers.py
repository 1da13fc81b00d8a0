"""How numbers are said in American English: 1,250 as ``one thousand two hundred fifty``. Pure."""

import re

MOST_DIGITS = 15
"""Longer numbers are said digit by digit."""

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
).split()
_TENS = "_ _ twenty thirty forty fifty sixty seventy eighty ninety".split()
_SCALES = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (10**3, "thousand"))
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}


def cardinal(number: int) -> str:
    """``forty two`` for 42. Beyond 15 digits each digit is said."""
    if number < 0:
        return f"minus {cardinal(-number)}"
    if number >= 10**MOST_DIGITS:
        return digits(str(number))
    words: list[str] = []
    for scale, name in _SCALES:
        if number >= scale:
            words += [_below_thousand(number // scale), name]
            number %= scale
    if number or not words:
        words.append(_below_thousand(number))
    return " ".join(words)


def _below_thousand(number: int) -> str:
    words: list[str] = []
    if number >= 100:
        words += [_ONES[number // 100], "hundred"]
        number %= 100
        if not number:
            return " ".join(words)
    if number >= 20:
        words.append(_TENS[number // 10])
        number %= 10
        if not number:
            return " ".join(words)
    return " ".join([*words, _ONES[number]])


def ordinal(number: int) -> str:
    """``twenty first`` for 21."""
    *before, last = cardinal(number).split()
    if last in _ORDINALS:
        last = _ORDINALS[last]
    elif last.endswith("y"):
        last = f"{last[:-1]}ieth"
    else:
        last += "th"
    return " ".join([*before, last])


def year(number: int) -> str:
    """``nineteen eighty four`` for 1984, ``two thousand five`` for 2005; four digits."""
    century, rest = divmod(number, 100)
    if century % 10 == 0 and rest < 10:
        return cardinal(number)
    if rest == 0:
        return f"{cardinal(century)} hundred"
    return f"{cardinal(century)} {'oh ' if rest < 10 else ''}{cardinal(rest)}"


def digits(text: str) -> str:
    """Each of the digits in ``text``: ``five zero one`` for 501."""
    return " ".join(_ONES[int(digit)] for digit in text if digit.isascii() and digit.isdigit())


def decimal(text: str) -> str:
    """The number ``text`` holds, with or without thousands commas and a fraction: ``three point one four``
    for 3.14."""
    sign = "minus " if text.startswith("-") else ""
    whole, _, fraction = text.lstrip("-").replace(",", "").partition(".")
    if not fraction and len(whole) > 1 and whole.startswith("0"):
        return sign + digits(whole)
    said = digits(whole) if len(whole) > MOST_DIGITS else cardinal(int(whole or "0"))
    return sign + said + (f" point {digits(fraction)}" if fraction else "")


def plural(said: str) -> str:
    """``nineties`` for ninety, ``hundreds`` for hundred."""
    if said.endswith("y"):
        return f"{said[:-1]}ies"
    return f"{said}es" if said.endswith("x") else f"{said}s"


def is_one(text: str) -> bool:
    """Whether a thing counted so is named in the singular."""
    return re.fullmatch(r"0*1(?:\.0*)?", text.replace(",", "")) is not None
