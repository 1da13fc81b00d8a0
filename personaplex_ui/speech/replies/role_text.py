"""The statements in the text of a role: its sentences, lines and lists, in words that can be said.

What tells the assistant how to behave is no statement, and neither is what it is to keep to itself. Pure.
"""

import re

from personaplex_ui.speech.replies.phrasing import VERB, in_first_person, label_of, without_heading
from personaplex_ui.speech.replies.sentences import sentences_of
from personaplex_ui.speech.replies.vocabulary import DAYS

LONGEST_ROLE = 20_000
"""Characters; what follows is not read."""

LONGEST_SENTENCE = 1_000
"""Nobody would listen to a longer one; it is left out."""

_ORDERS = """answer ask assure avoid be confirm do end explain give greet have help keep let make mention
record refuse reply respond say speak stay suggest talk tell thank transfer try use verify act
pretend remember remain follow discuss collect check ensure offer provide sound address
introduce apologise apologize reveal share disclose ignore respect wait"""
_ORDER = re.compile(
    rf"^(?:always |never |please |do not |don't |only |politely |also )*(?:{'|'.join(_ORDERS.split())})"
    r"\b(?!-)(?! (?:is|are|was|costs?|of|valid|includes?|starts?)\b)(?!:)",
    re.IGNORECASE,
)
_TO_ASSISTANT = re.compile(
    r"^(?:always|never|do not|don't|please)\b"
    r"|^you (?:should|must|need to|have to|will|shall|never|always|only|explain|ask|answer|respond|speak|"
    r"help|greet|talk|sound|stay|use|try|keep|urgently|may not|receive|take|are (?:to|not to|here to))\b"
    r"|^if (?:the|a|an|any|they|someone|somebody|asked|you|callers?|customers?)\b"
    r"|^(?:when|whenever) (?:the|a|asked|they|someone)\b",
    re.IGNORECASE,
)
_HIDE = r"(?:tell|reveal|mention|share|disclose|say|give out|discuss|talk about)"
_SECRET = re.compile(
    rf"\b(?:secret|internal|confidentially|(?:not|never|don't) {_HIDE}|keep (?:it|this|that) to yourself|"
    r"between us|system prompt|instructions?)\b",
    re.IGNORECASE,
)
_HIDES_WHAT_IS_BEFORE = re.compile(
    r"^(?:always|never|do not|don't|please|this|that|it|keep|you)\b", re.IGNORECASE
)
_POINTS_BACK = re.compile(r"\b(?:it|this|that|them|these|those)\b", re.IGNORECASE)
_TO_CALLER = re.compile(r"^you (?:can|may|get|pay|need)\b", re.IGNORECASE)
_YOUR_OWN = re.compile(r"^you (?:can|may) .*\byour\b", re.IGNORECASE)

_BULLET = re.compile(r"^\s*(?:[-*•–]|\d{1,2}[.)])\s+")  # noqa: RUF001
_HEADING = re.compile(r"^\s*(?:#{1,6}\s*(?P<hash>.+?)|(?P<plain>[A-Za-z][\w' &-]{1,40}))\s*:?\s*$")
_RULES = re.compile(
    r"\b(?:rules?|instructions?|guidelines?|behaviou?r|style|tone|do nots?|don'ts|task|goals?)\b",
    re.IGNORECASE,
)
_HOURS = re.compile(r"\b(?:hours|opening|times|schedule)\b", re.IGNORECASE)

_SHORT_DAYS = {day[:3].capitalize(): day.capitalize() for day in DAYS} | {
    "Tues": "Tuesday",
    "Thur": "Thursday",
    "Thurs": "Thursday",
}
_DAY = "|".join(sorted(_SHORT_DAYS, key=len, reverse=True))
_SHORT_DAY = re.compile(
    rf"\b({_DAY})\.?(?=\s*[-–:,]|\s+(?:\d|to\b|through\b|thru\b|and\b|closed\b|noon\b|{_DAY})|\s*$|\.)"  # noqa: RUF001
)


def normalised(text: str) -> str:
    """``text`` with one way to write quotes, days of the week and contractions."""
    text = text.replace("’", "'").replace("\u00a0", " ").replace("**", "").replace("`", "")  # noqa: RUF001
    text = _SHORT_DAY.sub(lambda found: _SHORT_DAYS[found[1]], text)
    days = "|".join(day.capitalize() for day in DAYS)
    text = re.sub(rf"\b({days})\s*(?:-|–|thru|through)\s*(?={days})", r"\1 to ", text)  # noqa: RUF001
    text = re.sub(r"\b(We|They|You)'re\b", r"\1 are", text)
    text = re.sub(r"\b(we|they|you)'re\b", r"\1 are", text)
    return re.sub(r"\b([Tt])here's\b", r"\1here is", text)


def _joined_list(heading: str, lines: list[str]) -> list[str]:
    """The ``lines`` under ``heading``: sentences as they are, notes together as one statement."""
    sentences = [
        line for line in lines if line.endswith((".", "!")) and (VERB.search(line) or len(line) > 60)
    ]
    notes = [line.rstrip(" .;,") for line in lines if line not in sentences]
    if not notes:
        return sentences
    if not _HOURS.search(heading):
        notes = [re.sub(r":\s+", " ", note, count=1) if len(note) < 60 else note for note in notes]
    return [f"{heading}: {'; '.join(notes)}." if heading else f"{'; '.join(notes)}.", *sentences]


def paragraphs(role: str) -> list[str]:
    """``role`` as running text, each heading with its list as one sentence; lists of rules are left out."""
    found: list[str] = []
    heading, items = "", list[str]()
    for line in [*normalised(role).split("\n"), ""]:
        bullet = _BULLET.match(line)
        title = _HEADING.match(line) if line.rstrip().endswith(":") or line.lstrip().startswith("#") else None
        text = line[bullet.end() :].strip() if bullet else line.strip()
        noted = bool(heading) and bool(label_of(text)[0]) and not title
        if text and (bullet or noted):
            items.append(text)
            continue
        if items:
            found += [] if _RULES.search(heading) else _joined_list(heading, items)
            heading, items = "", []
        if title:
            heading = (title["hash"] or title["plain"]).strip(" :")
        elif text:
            heading = ""
            found.append(text)
    return found + ([] if _RULES.search(heading) else _joined_list(heading, items))


def statements_of(role: str) -> list[str]:
    """The sentences of ``role`` that state something. Where it speaks of the assistant, ``you`` is ``I``."""
    kept: list[str] = []
    informs = False
    for sentence in sentences_of("\n".join(paragraphs(role[:LONGEST_ROLE]))):
        body = without_heading(sentence)
        informs = informs or body != sentence
        if len(body) > LONGEST_SENTENCE:
            continue
        if _SECRET.search(body):
            if kept and _HIDES_WHAT_IS_BEFORE.match(body) and _POINTS_BACK.search(body):
                kept.pop()
            continue
        if _ORDER.match(body) or _TO_ASSISTANT.match(body):
            continue
        to_caller = (informs and _TO_CALLER.match(body)) or _YOUR_OWN.match(body)
        of_assistant = re.match("you", body, re.IGNORECASE) or not informs
        kept.append(in_first_person(body) if of_assistant and not to_caller else body)
    return kept
