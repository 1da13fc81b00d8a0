"""What a statement can answer: a price, a time, a place and so on, by its form. Pure."""

import re

PRICE = re.compile(
    r"[$€£]\s?\d|\b\d[\d.,]*\s?(?:dollars?|euros?|pounds?|cents?|usd|eur|gbp|percent)\b|%|\bfree\b|no charge",
    re.IGNORECASE,
)
TIME = re.compile(
    r"\b\d{1,2}(?::\d\d)?\s?(?:am|pm|a\.m|p\.m)\b|\b\d{1,2}:\d\d\b|o'clock|\bnoon\b|\bmidnight\b|"
    r"\b\d{1,2} (?:in the (?:morning|afternoon|evening)|at night)\b|"
    r"day:? \d{1,2}\s?(?:-|–|to)\s?\d{1,2}\b",  # noqa: RUF001
    re.IGNORECASE,
)
_MONTHS = "january|february|march|april|may \\d|june|july|august|september|october|november|december"
_NUMBER = "two|three|four|five|six|seven|eight|nine|ten"
_STREET = "street|road|avenue|lane|square|drive|boulevard|place|way|st|ave|rd"
_PATTERNS = {
    "date": rf"\b(?:{_MONTHS}|tomorrow|(?:mon|tues|wednes|thurs|fri|satur|sun)days?|(?:19|20)\d\d|"
    rf"weekends?)\b|"
    r"\bevery (?:other )?(?:day|week|month)|daily",
    "duration": rf"\b(?:\d[\d.]*\+?|one|{_NUMBER}) (?:working )?(?:minute|hour|day|week|month|year|"
    rf"night)s?\b",
    "often": r"\b(?:every|daily|weekly|monthly|once|twice|times)\b|\bper (?:day|week|month)\b",
    "number": rf"\d|\b(?:{_NUMBER}|dozen|hundred)\b",
    "place": r"\b(?:at|in|on|behind|near|under|beside|opposite|next to|upstairs|downstairs|floor|"
    r"address)\b",
    "address": rf"\baddress\b|\blocat(?:ed|ion)\b|\b\d+ (?:[A-Z]\w+ )+(?:{_STREET})\b|\b(?:street|road|"
    rf"avenue)\b|"
    r"\b(?:behind|next to|opposite|across from|near) the\b",
    "phone": r"\+?\d[\d ()/-]{6,}\d",
    "weight": r"\b\d[\d.]*\s?(?:kg|kilos?|kilograms?|lbs?|pounds|grams?)\b",
    "email": r"\S@\S",
    "website": r"\bwww\.|(?<![\w@])[\w-]+\.(?:com|org|net|de|fr|co\.uk|eu)\b|\bwebsite\b",
    "reason": r"\b(?:because|due to|since|so that|as a result|reason)\b",
    "hours": r"^we (?:are (?:open|available|closed)|open|close)\b|\bopening\b|\bhours:|\bhours (?:is|"
    r"are)\b|\bhours$|"
    r"\bopen (?:on|from|every|daily|until|monday|tuesday|wednesday|thursday|friday|saturday|sunday)\b|"
    r"\b(?:opens|closes) (?:at|on|every|daily)\b",
}
_KINDS = {"price": PRICE, "time": TIME} | {
    kind: re.compile(pattern, re.IGNORECASE) for kind, pattern in _PATTERNS.items()
}
_KINDS["person"] = re.compile(
    r"\b(?:Dr|Mr|Mrs|Ms|Prof|Coach|Chef)\.? [A-Z]|(?<![.!?] )(?<!^)\b[A-Z][a-z]+ [A-Z][a-z]+"
)


def kinds_in(text: str) -> frozenset[str]:
    """What ``text`` can answer."""
    return frozenset(kind for kind, pattern in _KINDS.items() if pattern.search(text))
