"""Text as it is written, turned into the words that are said, with the punctuation that pauses. Pure.

``We open at 9:30 am, lunch is $12.50.`` becomes ``We open at nine thirty A.M, lunch is twelve dollars and
fifty cents.`` Letters joined by full stops are said by their names.
"""

import re

from personaplex_ui.speech.synthesis import abbreviations, addresses, amounts, moments
from personaplex_ui.speech.synthesis.abbreviations import Rule
from personaplex_ui.speech.synthesis.cleaning import cleaned

# The order counts: what reads more of the text at once comes first, plain numbers last.
_RULES: tuple[Rule, ...] = (
    (addresses.EMAIL, addresses.email_said),
    (addresses.URL, addresses.url_said),
    *abbreviations.BEFORE_NUMBERS,
    (moments.ISO_DATE, moments.iso_date_said),
    (moments.SLASH_DATE, moments.slash_date_said),
    (moments.DOT_DATE, moments.dot_date_said),
    (addresses.ZIP, addresses.zip_said),
    (addresses.PHONE, addresses.phone_said),
    (moments.HOURS_RANGE, moments.range_said),
    (moments.CLOCK, moments.clock_said),
    (moments.HOUR, moments.hour_said),
    (amounts.MONEY, amounts.money_said),
    (amounts.MONEY_AFTER, amounts.money_after_said),
    (amounts.PER, lambda found: " per "),
    (amounts.PERCENT, amounts.percent_said),
    (amounts.DEGREES, amounts.degrees_said),
    (moments.MONTH_DAY, moments.month_day_said),
    (moments.DAY_MONTH, moments.day_month_said),
    (moments.YEARS_RANGE, moments.years_range_said),
    (moments.DECADE, moments.decade_said),
    (amounts.FRACTION_MEASURE, amounts.fraction_measure_said),
    (amounts.MEASURE, amounts.measure_said),
    (amounts.ORDINAL, amounts.ordinal_said),
    (amounts.RATING, amounts.rating_said),
    (amounts.FRACTION, amounts.fraction_said),
    (amounts.VERSION, amounts.version_said),
    (moments.YEAR, moments.year_said),
    (amounts.RANGE, amounts.range_said),
    (amounts.RATIO, amounts.range_said),
    (addresses.CODE, addresses.code_said),
    (amounts.MULTIPLIED, amounts.multiplied_said),
    (amounts.BY, lambda found: " by "),
    (amounts.THOUSANDS, amounts.thousands_said),
    (amounts.NAME_AND_NUMBER, lambda found: " "),
    (amounts.PLAIN, amounts.plain_said),
    *abbreviations.AFTER_NUMBERS,
)


def spoken(text: str) -> str:
    """The words of ``text`` in Latin letters, apostrophes and hyphens, between them spaces and ``,.!?;:—…``;
    empty where nothing can be said. Never raises."""
    text = cleaned(text)
    for pattern, said in _RULES:
        text = pattern.sub(said, text)
    return _punctuated(_calmed(text))


def _calmed(text: str) -> str:
    """A text in capitals is shouted, not spelled."""
    words = re.findall(r"[A-Za-z]{2,}", text)
    if len(words) >= 4 and all(word.isupper() for word in words):
        return re.sub(r"\b(?!I\b)[A-Za-z]+", lambda found: found[0].lower(), text)
    return text


def _punctuated(text: str) -> str:
    text = re.sub(r"[()\[\]{}|]| - |--+|-(?![A-Za-z])|(?<![A-Za-z])-", ", ", text)
    text = re.sub(r"\.{2,}", "…", text)
    text = re.sub(r"[^A-Za-z',.!?;:—… -]|(?<![A-Za-z])'|'(?![A-Za-z])(?<!s')", " ", text)
    text = re.sub(r"\s+", " ", text)
    text = re.sub(r" (?=[,.!?;:…])", "", text)
    text = re.sub(r"([,;:])(?:\s*[,;:])+", r"\1", text)
    text = re.sub(r"[,;:]\s*(?=[.!?…])", "", text)
    text = re.sub(r"([!?])[.!?,;:…]+|([.…])[,;:]+", r"\1\2", text)
    text = re.sub(r"(?<=[,;:!?…])(?=[A-Za-z])", " ", text)
    return text.strip(" ,;:—") if re.search("[A-Za-z]", text) else ""
