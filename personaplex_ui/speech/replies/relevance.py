"""Whether a fact is about what a question asks, by its kind, its subject and its words. Pure."""

import re
from collections.abc import Iterable

from personaplex_ui.speech.replies.question import Question
from personaplex_ui.speech.replies.role_facts import Fact
from personaplex_ui.speech.replies.words import STANDS_FOR, canonical, raw_words

NEEDS = {
    "price": ("price",),
    "time": ("time", "hours", "duration"),
    "when": ("time", "date", "hours", "duration"),
    "where": ("place", "address"),
    "who": ("person",),
    "number": ("number",),
    "duration": ("duration",),
    "often": ("often",),
    "why": ("reason",),
    "phone": ("phone",),
    "email": ("email",),
    "website": ("website",),
    "age": ("age",),
    "distance": ("distance",),
    "weight": ("weight",),
}
"""The kinds of facts that answer a kind of question; what nothing in a role can answer has none."""

_LISTS = re.compile(r"\b(?:include|includes|have|has|offers?|serves?|options?|available)\b", re.IGNORECASE)
_TOLD_BY = (
    (
        re.compile(r"\b(?:do|must|should) (?:i|we) (?:need|have|bring)\b|\b(?:required|needed|necessary)\b"),
        re.compile(r"\b(?:must|requir\w+|needs?|needed|bring|only|have to|no|not)\b", re.IGNORECASE),
    ),
    (
        re.compile(r"\bwithout\b|\b\w+-free\b|\b(?:gluten|sugar|dairy|fat|lactose) free\b"),
        re.compile(r"\b(?:without|free|no|not|vegan|vegetarian)\b", re.IGNORECASE),
    ),
    (
        re.compile(r"\bdo you (?:take|accept)\b"),
        re.compile(r"\b(?:takes?|taken|accept\w*|welcome|only|[$€£]\d)\b", re.IGNORECASE),
    ),
)
"""What some questions ask for, and the words without which nothing answers them."""


def has(fact: Fact, word: str) -> bool:
    """Whether ``fact`` is about ``word`` or something that it stands for."""
    words = fact.own | fact.inherited
    if word == "free" and "price" in fact.kinds:
        return True
    return word in words or bool(STANDS_FOR.get(word, frozenset()) & words)


def fits_kind(fact: Fact, kind: str) -> bool:
    """Whether ``fact`` can answer a ``kind`` of question."""
    return not kind or any(need in fact.kinds for need in NEEDS[kind])


def _is_priced(fact: Fact, question: Question) -> bool:
    """Whether the price in ``fact`` is of what ``question`` asks for, not of something that comes with it."""
    return (
        not fact.subject
        or any(word in fact.subject for word in question.hard | question.soft)
        or any(STANDS_FOR.get(word, frozenset()) & fact.subject for word in question.hard)
    )


def _counts(fact: Fact, question: Question) -> bool:
    """Whether ``fact`` says how many there are of what ``question`` names."""
    words = raw_words(fact.spoken)
    after = {
        canonical(near)
        for at, word in enumerate(words)
        if word[0].isdigit()
        for near in words[at + 1 : at + 3]
    }
    return bool(after & (question.hard | question.soft))


def answers_question(fact: Fact, question: Question, others: Iterable[Fact]) -> bool:
    """Whether ``fact`` is about what ``question`` is about, not only near to it."""
    if question.days and not fact.days:
        return False
    if question.overview and not (_LISTS.search(fact.spoken) or "price" in fact.kinds):
        return False
    for asked, told in _TOLD_BY:
        if asked.search(question.said) and not told.search(fact.spoken):
            return False
    missed = [word for word in question.hard if not has(fact, word)]
    return not any(word in other.subject for word in missed for other in others)


def is_suited(fact: Fact, question: Question) -> bool:
    """Whether ``fact`` tells what ``question`` wants to know of something: a price, a time, how many."""
    if not fits_kind(fact, question.kind):
        return False
    match question.kind:
        case "price":
            return _is_priced(fact, question)
        case "number":
            return _counts(fact, question)
        case _:
            return True
