"""The facts of a role: each thing it states, as a sentence the assistant can say, with what it is about.
Pure."""

import re
from dataclasses import dataclass, replace
from functools import lru_cache

from personaplex_ui.speech.replies import clauses, phrasing
from personaplex_ui.speech.replies.identity import Identity, identity_of
from personaplex_ui.speech.replies.kinds import PRICE, TIME, kinds_in
from personaplex_ui.speech.replies.role_text import statements_of
from personaplex_ui.speech.replies.words import canonical, content, days_in, numbers_in, raw_words

MOST_FACTS = 400

_NEGATIVE = re.compile(
    r"\b(?:no|not|never|cannot|can't|don't|doesn't|aren't|isn't|none|closed)\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that a role states.

    ``spoken``: a sentence. ``own``: canonical words of it; ``inherited``: of the heading or the list it is
    in; ``subject``: of what stands before its verb. ``kinds``: what it can answer, such as ``price``.
    ``days``: of the week, 0 for Monday. ``source``: which of ``RoleFacts.statements`` it was cut from.
    """

    spoken: str
    own: frozenset[str]
    inherited: frozenset[str]
    subject: frozenset[str]
    kinds: frozenset[str]
    days: frozenset[int]
    numbers: frozenset[str]
    negative: bool
    source: int


@dataclass(frozen=True, slots=True)
class RoleFacts:
    """``facts`` in the order of the role; ``statements``: the whole sentences they come from;
    ``vocabulary``: raw words of all facts with their canonical form."""

    identity: Identity
    facts: tuple[Fact, ...]
    statements: tuple[str, ...]
    vocabulary: dict[str, str]


def _pieces(statement: str, company: bool) -> list[tuple[str, str]]:
    """What ``statement`` says, cut apart: each as a sentence, with the words it inherits."""
    head, items = clauses.bracketed_items(statement)
    if items:
        return [(_item(name, inside), head) for name, inside in items]
    label, body = phrasing.label_of(statement)
    values = clauses.value_pieces(body) if label else []
    if values:
        return [(phrasing.labelled(label, value), label) for value in values]
    parts = clauses.clauses_of(body)
    if len(parts) == 1:
        return [(phrasing.completed(phrasing.labelled(label, body), company), "")]
    first = phrasing.VERB.split(parts[0], maxsplit=1)[0] if phrasing.VERB.search(parts[0]) else ""
    belongs = [label] + [f"{label} {first}" if part.startswith("the ") else label for part in parts[1:]]
    return [(_clause(label, parts, index, company), belongs[index]) for index in range(len(parts))]


def _item(name: str, inside: str) -> str:
    """``Classic, poached eggs, is $9.50``."""
    prices = [part.strip() for part in inside.split(",") if PRICE.search(part)]
    others = [part.strip() for part in inside.split(",") if not PRICE.search(part)]
    named = f"{name}, {', '.join(others)}," if others else name
    return f"{named} {phrasing.be_for(name)} {' and '.join(prices)}"


def _clause(label: str, parts: list[str], index: int, company: bool) -> str:
    """The clause ``parts[index]`` with what it leaves out."""
    text = parts[index]
    price = PRICE.search(text)
    if re.match(r"(?:on )?(?:closed\b|\w+days?\b)", text, re.IGNORECASE) and days_in(parts[0]) | days_in(
        text
    ):
        opening = re.match(r"(?:we|the \w+|i) (?:are|is|am) (?=open)", parts[0], re.IGNORECASE)
        if text.lower().startswith("closed"):
            return f"{opening[0] if opening else 'We are '}{text}"
        if not phrasing.VERB.search(text):
            if ":" in text:
                return text.replace(":", ",", 1)
            return f"{opening[0]}open {text}" if opening else f"{label or 'Hours'}: {text}"
    if phrasing.VERB.search(text) or (price is None and not TIME.search(text)):
        return phrasing.completed(text, company)
    value = price or TIME.search(text)
    if value is None or not text[: value.start()].strip():
        return phrasing.labelled(label, text)
    name = re.sub(r"\s+(?:from|at|until|is)$", "", text[: value.start()].strip(" :-–"))  # noqa: RUF001
    return phrasing.priced(label, name, text[len(name) :].strip(" :-–"))  # noqa: RUF001


def _fact(spoken: str, inherited: str, source: int) -> Fact:
    has_subject = phrasing.VERB.search(spoken)
    subject = re.split(r"\bwith\b", spoken[: has_subject.start()])[0] if has_subject else ""
    own = content(spoken)
    if re.match(r"I (?:am an? |work as |am [A-Z]\w+ [A-Z]\w+, an? )", spoken):
        own |= {canonical("job")}
    return Fact(
        spoken=phrasing.as_sentence(phrasing.speakable(spoken)),
        own=own,
        inherited=content(inherited),
        subject=content(subject) or content(inherited),
        kinds=kinds_in(spoken) | (kinds_in(inherited) & {"hours"}),
        days=days_in(spoken),
        numbers=numbers_in(spoken),
        negative=bool(_NEGATIVE.search(spoken)),
        source=source,
    )


def joined(facts: RoleFacts, others: RoleFacts) -> RoleFacts:
    """``facts`` and then ``others``, of which the identity is not taken."""
    moved = tuple(replace(fact, source=fact.source + len(facts.statements)) for fact in others.facts)
    return RoleFacts(
        facts.identity,
        (facts.facts + moved)[:MOST_FACTS],
        facts.statements + others.statements,
        facts.vocabulary | others.vocabulary,
    )


@lru_cache(maxsize=64)
def facts_of(role: str) -> RoleFacts:
    """What ``role`` states; the first ``MOST_FACTS`` things."""
    identity = identity_of(role)
    facts: list[Fact] = []
    statements: list[str] = []
    for text in statements_of(role):
        label, body = phrasing.label_of(text)
        whole = phrasing.labelled(label, body) if not clauses.bracketed_items(text)[1] else text
        whole = phrasing.completed(whole, bool(identity.company))
        found = [
            _fact(spoken, inherited, len(statements))
            for spoken, inherited in _pieces(text, bool(identity.company))
        ]
        facts += [fact for fact in found if fact.own or fact.kinds - {"number", "place"}]
        statements.append(phrasing.as_sentence(phrasing.speakable(whole)))
    facts = facts[:MOST_FACTS]
    raw = {word for fact in facts for word in raw_words(fact.spoken)}
    vocabulary = {word: canonical(word) for word in sorted(raw)}
    return RoleFacts(identity, tuple(facts), tuple(statements), vocabulary)
