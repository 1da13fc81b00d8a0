"""What a caller asks: the kind of fact that would answer, and the words it has to be about. Pure."""

import re
from dataclasses import dataclass, replace

from personaplex_ui.speech.replies.heard_words import read_words
from personaplex_ui.speech.replies.role_facts import RoleFacts
from personaplex_ui.speech.replies.words import (
    SOFT,
    STANDS_FOR,
    UNIT_WORDS,
    canonical,
    content,
    days_in,
    numbers_in,
)

LONGEST_QUESTION = 400
"""Characters; the last of them are read, as a question stands at the end."""

_KINDS = (
    ("weight", r"\bhow (?:heavy|much weight)\b"),
    ("duration", r"\bhow (?:long|fast|soon|quickly|much time|many (?:minutes|hours|days|weeks))\b"),
    ("number", r"\bhow many\b"),
    ("often", r"\bhow often\b"),
    ("age", r"\bhow old\b|\bwhat age\b"),
    ("distance", r"\bhow far\b"),
    ("phone", r"\b(?:phone|telephone|fax|mobile)\b.*\bnumber\b|\b(?:what|which) number\b|\bhow (?:can|do) "
              r"i (?:call|"
     r"reach) you\b|\byour (?:phone|telephone|number)\b"),
    ("email", r"\be-?mail\b"),
    ("website", r"\bweb ?(?:site|page)\b|\bonline\b"),
    ("price", r"\bhow much\b|\b(?:price|prices|cost|costs|charge|fee|fees|rate|rates|fare|cheapest|cheaper|"
              r"expensive)\b|\bwhat (?:do|"
              r"would|will) i "
     r"(?:have to )?pay\b|\bhow expensive\b|\bthe fine(?: please)?$|\bowe\b"),
    ("time", r"\b(?:what times?|by what time|how late|how early|at what hour)\b"),
    ("when", r"\b(?:when|until when|what days?|which days?|what date|by what time|from when|"
             r"how late|how early)\b|"
     r"\b(?:opening|business|office) hours\b|\bwhat (?:are|is) (?:your|the) (?:\w+ )?(?:hours|times)\b"),
    ("where", r"\bwhere\b|\b(?:your|the) (?:address|location)\b|\bhow do i (?:find|get to)\b|\blocated\b|"
              r"\bdirections\b"),
    ("who", r"\b(?:who|whose|whom)\b"),
    ("why", r"\b(?:why|how come|what reason|the reason)\b"),
)  # fmt: skip
_YES_NO = re.compile(
    r"^(?:do|does|did|is|are|am|was|were|can|could|will|would|have|has|may|must|should|shall|any|"
    r"isn't|aren't|don't|doesn't|can't)\b"
)
_EXISTENCE = re.compile(
    r"^(?:do you (?:guys |also |still )?(?:have|offer|sell|rent|serve|do|provide|carry|stock)|is there|are "
    r"there|have you got"
    r"|(?:can|could|may) (?:i|we) (?:get|have|rent|buy|order|book)|any)\b"
)
_OVERVIEW = re.compile(
    r"\bwhat(?: all)? (?:else )?(?:do|can) (?:you|they) (?:guys )?(?:have|offer|sell|rent|serve|do "
    r"there)\b|\bmenu\b|"
    r"\b(?:what|which) (?:\w+ ){0,2}(?:can|could|may) i (?:get|rent|order|buy|have|choose)\b|"
    r"\bwhat (?:are|is) (?:my|the|your) (?:options|choices|services|products|offers?)\b|"
    r"\bwhat (?:services|products|options) \b|\bwhat (?:\w+ )?(?:do you have|is available|'s available)\b|"
    r"\bwhat(?:'s| is| do you have) on offer\b"
)
_MODIFIES = re.compile(
    r"\b(?:cheapest|most expensive|least expensive|best|biggest|smallest|largest|"
    r"fastest)\b"
)
_POINTS_BACK = re.compile(r"\b(?:it|that|this|they|them|those|these|one|there|its)\b")
_IT = re.compile(r"\b(?:it|that|they|them)\b")
_WHOLE = re.compile(
    r"(?:and|but|so|then|also|okay|ok|now)\b[, ]*(?:what|which|who|where|when|how)\b(?! about).* "
    r"(?:do|does|did|is|are|can|have|has|will)\b"
)
"""Goes on, and is a question by itself."""

_GOES_ON = re.compile(r"^(?:and|what about|how about|or|also|but|so)\b")
_ASKS_START = re.compile(r"\b(?:when|what time)\b.*\b(?:open|start|begin)\b")
_BEGINNING = re.compile(
    r"^(?:(?:hi|hello|hey|good (?:morning|afternoon|evening)|ok|okay|well|yes|no|great|thanks|thank you|"
    r"excuse me|please|so|um|uh|oh|sorry)[ ,.]+)*"
    r"(?:(?:can|could|would) you (?:please )?tell me (?:please )?|i(?:'d| would) like to know |"
    r"i was wondering |do you know |i want to know |tell me )?(?:if |whether )?"
)
_INTRODUCTION = re.compile(
    r"^\W*(?:(?:[Hh]i|[Hh]ello|[Hh]ey)\W+)?(?:I am|I'm|[Mm]y name is|[Tt]his is) [A-Z][a-z]+(?: [A-Z][a-z]+)*"
    r"(?: here)?[,.]?(?: and\b| from\b[^,.]*)?\s*"
)
_REQUEST = re.compile(
    r"^(?:i|we)(?:'d| would)? (?:like|want|need|wanna)\b|^(?:i|we)(?:'ll| will) (?:have|take)\b|"
    r"^(?:please )?(?:book|reserve|order|cancel|change|send|schedule|block|give me|get me)\b|"
    r"^(?:can|could|would) you (?:book|reserve|order|cancel|change|send|schedule|transfer|block|open)\b"
)


_ASKED_TO_DO = frozenset(map(canonical, ("reserve", "cancel", "change", "send", "schedule", "block", "rent")))
_ANY_COMPANY = frozenset(map(canonical, ("office", "store", "company", "shop", "business")))


@dataclass(frozen=True, slots=True)
class Question:
    """``kind``: of the facts that answer, empty for any. ``hard``: canonical words that an answer has to be
    about; ``soft``: words that help to find it; ``unknown``: those of ``hard`` that no fact has.

    ``existence``: asks whether there is something; ``overview``: what there is. ``request``: asks for
    something to be done. ``points_back``: needs the question before it. ``said``: the words, in lower case.
    """

    kind: str
    hard: frozenset[str]
    soft: frozenset[str]
    unknown: frozenset[str]
    days: frozenset[int]
    numbers: frozenset[str]
    yes_no: bool
    existence: bool
    overview: bool
    request: bool
    asks_start: bool
    points_back: bool
    said: str


def without_introduction(text: str) -> str:
    """``text`` without the caller's own name at its start."""
    return _INTRODUCTION.sub("", text, count=1)


def plain(text: str) -> str:
    """``text`` in lower case, as one line, without what a recogniser adds."""
    text = text[-LONGEST_QUESTION:].lower().replace("’", "'")  # noqa: RUF001
    text = re.sub(r"\bwhat's\b", "what is", text)
    text = re.sub(r"\b(where|when|who|how)'s\b", r"\1 is", text)
    return " ".join(re.sub(r"[^\w\s'$€£.:%-]", " ", text).split()).strip(" .")


def is_question(text: str) -> bool:
    """Whether ``text`` asks something, by its mark or its words."""
    words = plain(text)
    return (
        "?" in text
        or bool(_YES_NO.match(words))
        or bool(re.search(r"\b(?:what|which|who|when|where|why|how)\b", words))
        or bool(_GOES_ON.match(words))
    )


def topic_of(facts: RoleFacts) -> frozenset[str]:
    """Words that all of a role is about, so that they tell no two facts apart."""
    identity = facts.identity
    return content(f"{identity.trade} {identity.company}") - {canonical("card")}


def _with_prices(facts: RoleFacts) -> frozenset[str]:
    """Words of what has a price."""
    return frozenset(word for fact in facts.facts if "price" in fact.kinds for word in fact.subject)


def _points_back(asked: str, names_something: bool) -> bool:
    pattern = _IT if names_something else _POINTS_BACK
    goes_on = _GOES_ON.match(asked) and not (names_something and _WHOLE.match(asked))
    return bool(goes_on or pattern.search(asked))


def _kind_of(said: str) -> str:
    return next((kind for kind, pattern in _KINDS if re.search(pattern, said)), "")


def read_question(text: str, facts: RoleFacts) -> Question:
    """What ``text``, said to the assistant whose role states ``facts``, asks."""
    text = without_introduction(text)
    said = plain(text)
    asked = _BEGINNING.sub("", said)
    known = frozenset(word for fact in facts.facts for word in fact.own | fact.inherited)
    words = read_words(text[-LONGEST_QUESTION:], facts, known)
    topic = topic_of(facts)
    kind = _kind_of(asked)
    missable = SOFT | topic
    if kind == "where":
        missable |= _ANY_COMPANY
    if kind == "price":
        missable -= _with_prices(facts) & topic
    yes_no = bool(_YES_NO.match(asked)) and not kind
    if not yes_no or days_in(text):
        missable |= UNIT_WORDS
    hard = frozenset(word for word in words if word not in missable)
    there_is = _EXISTENCE.match(asked)
    if hard and there_is and not kind:
        # In "do you have bikes for children" the bikes matter, whatever else is about bikes.
        hard |= frozenset(read_words(asked[there_is.end() :], facts, known)) & topic
    soft = frozenset(words) - hard
    request = bool(_REQUEST.match(asked))
    if request and hard - _ASKED_TO_DO:
        hard -= _ASKED_TO_DO - known
    superlative = bool(_MODIFIES.search(asked))
    return Question(
        kind=kind,
        hard=hard,
        soft=soft,
        unknown=frozenset(word for word in hard if not ({word} | STANDS_FOR.get(word, frozenset())) & known),
        days=days_in(text),
        numbers=numbers_in(text),
        yes_no=yes_no,
        existence=bool(there_is) and not kind,
        overview=bool(_OVERVIEW.search(asked)) and kind in ("", "price"),
        request=request,
        asks_start=bool(_ASKS_START.search(asked)),
        points_back=_points_back(asked, bool(hard)) and not superlative,
        said=said,
    )


def continued(question: Question, before: Question) -> Question:
    """``question`` with what it leaves to the one ``before``: the kind, and the subject if it names none."""
    subject = question.hard or (
        question.soft if question.soft - before.soft - UNIT_WORDS else frozenset[str]()
    )
    return replace(
        question,
        kind=question.kind or ("" if question.yes_no and question.hard else before.kind),
        hard=question.hard or (frozenset[str]() if subject else before.hard),
        soft=question.soft | before.soft | before.hard,
        unknown=question.unknown or (frozenset[str]() if subject else before.unknown),
        days=question.days or (frozenset[int]() if question.hard else before.days),
        numbers=question.numbers or before.numbers,
        yes_no=question.yes_no,
        existence=question.existence,
        points_back=False,
    )
