"""Words the answer that facts give: with yes or no only where they leave no doubt. Pure."""

import re

from personaplex_ui.speech.replies.question import Question
from personaplex_ui.speech.replies.role_facts import Fact, RoleFacts
from personaplex_ui.speech.replies.words import SOFT

LONGEST_STATEMENT = 220
"""Characters of a whole statement that may be said at once."""

MOST_OFFERS = 2

_RESTRICTED = re.compile(
    r"\b(?:if|only|unless|except|without|until|after|before|over|under|up to|more than|at least|from|for)\b",
    re.IGNORECASE,
)
_NARROWED = re.compile(
    r"\b(?:without|except|before|after|until|instead|extra|more|less|than|other|another)\b"
)
_OFFERED = re.compile(
    r"\b(?:available|offers?|options?|include|includes|we (?:have|rent|sell|offer|serve))\b", re.IGNORECASE
)


def answer_with(found: tuple[Fact, ...], question: Question, facts: RoleFacts, together: bool = False) -> str:
    """What to say to ``question`` where ``found`` answers it, the best fact first.
    ``together``: all of them are needed."""
    best = found[0]
    if question.request:
        spoken = " ".join(fact.spoken for fact in found) if together else best.spoken
        return f"I can't arrange that myself, but I can tell you this. {spoken}"
    if together:
        return " ".join(fact.spoken for fact in found)
    same = [fact for fact in found if fact.source == best.source]
    statement = facts.statements[best.source]
    if len(same) > 1 and len(statement) <= LONGEST_STATEMENT:
        return statement
    if len(same) > 1:
        return " ".join(fact.spoken for fact in same[:3])
    beginning = _yes_or_no(best, question)
    if beginning == "No. " and best.spoken.startswith("No "):
        return f"No, {best.spoken[0].lower()}{best.spoken[1:]}"
    return f"{beginning}{best.spoken}"


def _yes_or_no(fact: Fact, question: Question) -> str:
    """``Yes.`` or ``No.`` where the fact says so of exactly what was asked; otherwise nothing."""
    if not question.yes_no or re.search(r"\b(?:not|no|never)\b|n't\b", question.said) or not question.hard:
        return "No. " if fact.negative and question.days and question.days <= fact.days else ""
    if not question.hard <= fact.own | fact.inherited:
        return ""
    if fact.negative:
        beside = fact.own - question.hard - question.soft - SOFT
        several = re.search(r"[,;]|\b(?:but|and|or)\b", fact.spoken)
        return "No. " if not beside and not several and not _RESTRICTED.search(fact.spoken) else ""
    if question.numbers - fact.numbers or question.days - fact.days or _NARROWED.search(question.said):
        return ""
    if question.existence and question.hard & fact.subject:
        return "Yes. "
    asked = question.hard | question.soft
    same = fact.own <= asked <= fact.own | fact.inherited
    return "Yes. " if same and not _RESTRICTED.search(fact.spoken) else ""


def related(fact: Fact, question: Question) -> str:
    """A fact that is near to what was asked, and said to be no more than that."""
    del question
    return f"I don't have that exactly. What I do have is this. {fact.spoken}"


def offers(facts: RoleFacts) -> str | None:
    """What there is, by the statements that list the most of it; None if the role lists nothing."""
    counts: dict[int, int] = {}
    for fact in facts.facts:
        if "price" in fact.kinds and not fact.negative:
            counts[fact.source] = counts.get(fact.source, 0) + 1
        elif _OFFERED.search(fact.spoken) and not fact.negative:
            counts.setdefault(fact.source, 1)
    lists = [source for source, count in counts.items() if count > 1] or list(counts)
    chosen = sorted(lists[:MOST_OFFERS])
    said = [facts.statements[source] for source in chosen]
    return " ".join(text for text in said if len(text) <= LONGEST_STATEMENT) or None
