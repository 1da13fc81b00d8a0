"""Words in the form in which questions and facts are compared: lower case, stems, one word for all that say
the same. Pure."""

import re

from personaplex_ui.speech.replies.vocabulary import (
    DAYS,
    KINDS_OF,
    MAY_BE_MISSED,
    NUMBERS,
    PHRASES,
    SAME_MEANING,
    SAYS_NOTHING,
    UNITS,
)

_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z][a-z])")
_WORD = re.compile(r"\d[\d,]*(?:[.:]\d+)?|[^\W\d_]+(?:[-'’][^\W\d_]+)*")  # noqa: RUF001
_PHRASES = tuple((re.compile(pattern), word) for pattern, word in PHRASES)


def raw_words(text: str) -> list[str]:
    """The words and numbers of ``text`` in order: lower case, without hyphens, number words as digits."""
    text = _CAMEL.sub(" ", text.replace("’", "'")).lower()  # noqa: RUF001
    for pattern, word in _PHRASES:
        text = pattern.sub(word, text)
    found: list[str] = []
    for match in _WORD.finditer(text):
        word = match[0].removesuffix("'s").replace("-", "").replace("'", "").replace(",", "")
        found.append(NUMBERS.get(word, word))
    return [word for word in found if word]


def stem(word: str) -> str:
    """``word`` without its ending: ``bikes`` and ``bike``, ``included`` and ``include`` become the same."""
    if len(word) <= 3 or word[0].isdigit():
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith("es") and word[-3] in "sxzh":
        word = word[:-2]
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending in ("ing", "ed"):
        rest = word.removesuffix(ending)
        if rest != word and len(rest) >= 3 and re.search("[aeiouy]", rest):
            word = rest[:-1] if rest[-1] == rest[-2] and rest[-1] not in "lsz" else rest
            break
    return word[:-1] if word.endswith("e") and not word.endswith("ee") and len(word) > 3 else word


_SAME = {
    stem(word.replace("-", "")): stem(group.split()[0]) for group in SAME_MEANING for word in group.split()
}


def canonical(word: str) -> str:
    """The one form of all words that say the same as the raw ``word``."""
    root = stem(word)
    return _SAME.get(root, root)


SILENT = frozenset(SAYS_NOTHING.split()) | frozenset(map(stem, SAYS_NOTHING.split()))
SOFT = frozenset(canonical(word) for word in MAY_BE_MISSED.split())
UNIT_WORDS = frozenset(canonical(word) for word in UNITS.split())
STANDS_FOR = {canonical(word): frozenset(map(canonical, names.split())) for word, names in KINDS_OF.items()}


def day_number(word: str) -> int | None:
    """0 for Monday to 6 for Sunday, for a raw word; None for any other word."""
    name = word.removesuffix("s")
    for number, day in enumerate(DAYS):
        if name == day or (
            len(name) in (3, 4) and day.startswith(name) and name not in ("sun", "sat", "wed", "mon")
        ):
            return number
    return {"mon": 0, "wed": 2, "sat": 5, "sun": 6}.get(name)


def days_in(text: str) -> frozenset[int]:
    """The days of the week that ``text`` names, with all those in ranges, ``every day`` and ``weekend``."""
    lower = text.lower()
    found: set[int] = set()
    names = "|".join(DAYS)
    for first, last in re.findall(rf"\b({names})s?\s*(?:to|through|until|till|-|–)\s*({names})s?\b", lower):  # noqa: RUF001
        start, end = DAYS.index(first), DAYS.index(last)
        found |= {(start + step) % 7 for step in range((end - start) % 7 + 1)}
    found |= {
        number for word in raw_words(text) if (number := day_number(word)) is not None and len(word) > 4
    }
    if re.search(r"\b(?:every day|daily|seven days|all week)\b", lower):
        found |= set(range(7))
    if re.search(r"\bweekends?\b", lower):
        found |= {5, 6}
    if re.search(r"\b(?:weekdays?|working days?)\b", lower) and not re.search(r"\d+ working days", lower):
        found |= set(range(5))
    return frozenset(found)


def content(text: str) -> frozenset[str]:
    """What ``text``, a fact, is about: the canonical words that say something, and pairs joined."""
    raw = raw_words(text)
    return frozenset(
        canonical(word)
        for word in raw
        if not word[0].isdigit() and word not in SILENT and day_number(word) is None
    )


def numbers_in(text: str) -> frozenset[str]:
    """The numbers in ``text`` as digits."""
    return frozenset(word for word in raw_words(text) if word[0].isdigit())
