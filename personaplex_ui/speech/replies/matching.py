"""Which facts of a role answer a question, and how surely. Pure."""

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from personaplex_ui.speech.replies.question import Question, topic_of
from personaplex_ui.speech.replies.relevance import answers_question, fits_kind, has, is_suited
from personaplex_ui.speech.replies.role_facts import Fact, RoleFacts
from personaplex_ui.speech.replies.words import SOFT, STANDS_FOR, canonical

ENOUGH = 0.65
"""Share of the weight of a question's words that a fact has to have, to be its answer."""

RELATED = 0.5
"""The share from which a fact may be offered, as something else than what was asked for."""

MOST_TOGETHER = 3
"""Facts that are said as one answer."""

SOLE = ("often", "phone", "email", "website")
"""Where a role has one fact of such a kind, it is meant, whatever else is said."""


_OPENING = frozenset(
    map(canonical, ("opening", "hours", "times", "pm", "am", "business", "shop", "store", "office"))
)


class Certainty(Enum):
    """Whether the facts answer the question, are only near to it, or there are none."""

    ANSWERS = "answers"
    RELATED = "related"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Match:
    """``facts`` that fit equally well, the best first; ``together``: only all of them answer."""

    certainty: Certainty
    facts: tuple[Fact, ...] = ()
    together: bool = False


NO_MATCH = Match(Certainty.NOTHING)


class Weights:
    """How much each word tells, by how few facts have it."""

    def __init__(self, facts: Iterable[Fact]) -> None:
        every = list(facts)
        self._count = len(every)
        self._having = Counter(word for fact in every for word in fact.own | fact.inherited)

    def __call__(self, word: str) -> float:
        having = self._having[word] or min(
            (self._having[name] for name in STANDS_FOR.get(word, ())), default=0
        )
        # A word that no fact has may change the whole question, so it weighs more than any other.
        return math.log(1 + self._count / having) if having else 1.5 * math.log(2 + self._count)


def _score(fact: Fact, question: Question, weigh: Weights) -> float:
    score = sum(weigh(word) * (1.0 if word in fact.own else 0.8) for word in question.hard if has(fact, word))
    score -= 0.6 * sum(weigh(word) for word in question.hard if not has(fact, word))
    score += 0.35 * sum(weigh(word) for word in question.soft if has(fact, word))
    if question.kind and fits_kind(fact, question.kind):
        score += 1.5
    if question.days:
        score += 2.0 / len(fact.days) if question.days & fact.days else -1.0
    score += 0.5 * len(question.numbers & fact.numbers)
    subject = question.hard & fact.subject
    return score + (0.4 if subject else 0.0) - 0.02 * len(fact.own)


def _share(fact: Fact, question: Question, weigh: Weights) -> float:
    total = sum(weigh(word) for word in question.hard)
    return sum(weigh(word) for word in question.hard if has(fact, word)) / total if total else 0.0


def _best(facts: list[Fact], question: Question, weigh: Weights) -> tuple[Fact, ...]:
    scored = sorted(((_score(fact, question, weigh), fact) for fact in facts), key=lambda pair: -pair[0])
    top = scored[0][0]
    return tuple(fact for score, fact in scored if score >= top - 0.15)[:6]


def _one_for_each(fitting: list[Fact], question: Question) -> tuple[Fact, ...]:
    """The prices of several things that ``question`` names together, if each has one of its own."""
    if question.kind != "price" and not question.request:
        return ()
    if not re.search(r"\b(?:and|with|plus)\b", question.said):
        return ()
    priced = [fact for fact in fitting if "price" in fact.kinds]
    if any(all(has(fact, word) for word in question.hard) for fact in priced):
        return ()
    found: list[Fact] = []
    for word in sorted(question.hard):
        named = [fact for fact in priced if word in fact.subject]
        if len(named) != 1:
            return ()
        found += [fact for fact in named if fact not in found]
    return tuple(found[:MOST_TOGETHER]) if len(found) > 1 else ()


def _stands_for_several(word: str, facts: list[Fact]) -> bool:
    """Whether ``facts`` are about things of the kind ``word``, and none about the kind as such."""
    named = frozenset(name for fact in facts for name in fact.own & STANDS_FOR.get(word, frozenset()))
    return len(named) > 1 and not any(word in fact.own for fact in facts)


def find(question: Question, facts: RoleFacts) -> Match:
    """The facts that answer ``question``, or are near to it."""
    if not question.hard:
        return _without_words(question, facts)
    weigh = Weights(facts.facts)
    fitting = [fact for fact in facts.facts if is_suited(fact, question)]
    shares = {id(fact): _share(fact, question, weigh) for fact in facts.facts}
    if not question.unknown:
        least = 1.0 if question.yes_no else ENOUGH
        enough = [fact for fact in fitting if shares[id(fact)] >= least - 1e-9]
        enough = [fact for fact in enough if answers_question(fact, question, fitting)]
        several = _one_for_each(fitting, question)
        if several:
            return Match(Certainty.ANSWERS, several, together=True)
        if enough and any(_stands_for_several(word, enough) for word in question.hard):
            return Match(Certainty.ANSWERS, tuple(enough[:MOST_TOGETHER]), together=True)
        if enough:
            return Match(Certainty.ANSWERS, _best(enough, question, weigh))
        sole = [fact for fact in fitting if "price" not in fact.kinds]
        if question.kind in SOLE and len(sole) == 1:
            return Match(Certainty.ANSWERS, tuple(sole))
    near = [fact for fact in fitting if shares[id(fact)] >= RELATED and _names(fact, question)]
    return Match(Certainty.RELATED, _best(near, question, weigh)[:1]) if near else NO_MATCH


def _names(fact: Fact, question: Question) -> bool:
    """Whether ``fact`` has a word of the question, and not only a price where "free" is asked for."""
    return any(has(fact, word) for word in question.hard if word != "free" or word in fact.own)


def _without_words(question: Question, facts: RoleFacts) -> Match:
    """The answer to a question that names nothing: when are you open, where are you, what is your number."""
    match question.kind:
        case "when" | "time":
            return _opening(question, facts)
        case "where":
            found = [fact for fact in facts.facts if "address" in fact.kinds]
            found = found or [
                fact for fact in facts.facts if facts.identity.company and _tells_town(fact, facts)
            ]
            return Match(Certainty.ANSWERS, tuple(found[:1])) if found else NO_MATCH
        case "phone" | "email" | "website" | "often":
            found = [fact for fact in facts.facts if fits_kind(fact, question.kind)]
            found = [fact for fact in found if question.kind != "often" or "price" not in fact.kinds]
            return Match(Certainty.ANSWERS, tuple(found)) if len(found) == 1 else NO_MATCH
        case _:
            if "open" in question.soft or "clos" in question.soft:
                return _opening(question, facts)
    if question.days:
        return _opening(question, facts)
    if not question.soft:
        return NO_MATCH
    weigh = Weights(facts.facts)
    found = [fact for fact in facts.facts if fits_kind(fact, question.kind)]
    found = [fact for fact in found if all(has(fact, word) for word in question.soft)]
    return Match(Certainty.ANSWERS, _best(found, question, weigh)) if found else NO_MATCH


def _opening(question: Question, facts: RoleFacts) -> Match:
    """The facts about opening hours, of the day that is asked for if one tells of it."""
    ours = topic_of(facts) | SOFT | _OPENING
    hours = [fact for fact in facts.facts if "hours" in fact.kinds and fact.subject <= ours]
    hours = [fact for fact in hours if fact.source == hours[0].source or fact.days & question.days]
    if not hours:
        return NO_MATCH
    if question.asks_start and all(_tells_end_only(fact) for fact in hours):
        return Match(Certainty.RELATED, (hours[0],))
    told = sorted((fact for fact in hours if fact.days >= question.days), key=lambda fact: len(fact.days))
    if question.days and told:
        return Match(Certainty.ANSWERS, (told[0],))
    return Match(Certainty.ANSWERS, tuple(hours))


def _tells_town(fact: Fact, facts: RoleFacts) -> bool:
    return facts.identity.company in fact.spoken and bool(re.search(r" (?:in|near) [A-Z]", fact.spoken))


def _tells_end_only(fact: Fact) -> bool:
    return "until" in fact.spoken and len(fact.numbers) == 1
