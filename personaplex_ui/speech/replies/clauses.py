"""Cuts a statement of a role into what can be said alone: the items of a list, clauses side by side. Pure."""

import re

from personaplex_ui.speech.replies.kinds import PRICE, TIME
from personaplex_ui.speech.replies.phrasing import VERB
from personaplex_ui.speech.replies.words import days_in

_BOUNDARY = re.compile(r";\s+|,\s+(?:and\s+)?|\s+and\s+|,?\s+but\s+(?=no \w+(?: \w+)?\.?$)")
_DEPENDENT = re.compile(
    r"\b(?:if|when|while|unless|because|since|although|though|that|who|whose|where|once|whether|which)\b",
    re.IGNORECASE,
)
_GOES_ON = re.compile(
    r"(?:for|they|it|this|these|those|otherwise|except|but|so|then|or|nor)\b", re.IGNORECASE
)
_VALUE_FIRST = re.compile(r"(?:[$€£]\s?)?\d|free\b", re.IGNORECASE)
_DAY_FIRST = re.compile(
    r"(?:on\s+)?(?:closed\b|(?:mon|tues|wednes|thurs|fri|satur|sun)days?\b|weekends?\b|weekdays?\b)",
    re.IGNORECASE,
)
_STARTS_WITH_VERB = re.compile(
    rf"(?:{VERB.pattern}|(?:arrives?|ends?|opens?|closes?|open|until|to|from|at|or|for|with|per|cost)\b)",
    re.IGNORECASE,
)
_PARALLEL = re.compile(r"\b[a-z]{3,}s\b")


def _apart(left: str, right: str, mark: str) -> bool:
    """Whether ``left`` and ``right`` say different things, each understood without the other."""
    if _DEPENDENT.search(left) or _DEPENDENT.match(right) or _GOES_ON.match(right):
        return False
    if mark.startswith(";") or "but" in mark:
        return True
    if _DAY_FIRST.match(right) and (days_in(left) or TIME.search(left)) and mark.strip() != "and":
        return True
    if _VALUE_FIRST.match(right) or _STARTS_WITH_VERB.match(right):
        return False
    if PRICE.search(left) and PRICE.search(right):
        return True
    if TIME.search(left) and TIME.search(right) and not days_in(right):
        return True
    if VERB.search(left) and VERB.search(right):
        return True
    shared = set(_PARALLEL.findall(left)) & set(_PARALLEL.findall(right))
    return any(re.search(rf"\w {verb} \w", left) and re.search(rf"\w {verb} \w", right) for verb in shared)


def clauses_of(text: str) -> list[str]:
    """The clauses of ``text``, a sentence without its label; one if it cannot be cut."""
    found: list[str] = []
    start, look = 0, 0
    while boundary := _BOUNDARY.search(text, look):
        left, right = text[start : boundary.start()], text[boundary.end() :]
        following = _BOUNDARY.split(right, maxsplit=1)[0]
        whole = right if not (PRICE.search(left) or TIME.search(left)) else following
        if _inside_brackets(text, boundary.start()) or not _apart(left, whole, boundary[0]):
            look = boundary.end()
            continue
        found.append(left)
        start = look = boundary.end()
    return [clause for piece in [*found, text[start:]] if (clause := piece.strip(" ,;"))]


def _inside_brackets(text: str, position: int) -> bool:
    return text.count("(", 0, position) > text.count(")", 0, position)


def value_pieces(text: str) -> list[str]:
    """``$150 for standard models`` and ``$300 for premium``, where ``text`` lists several values with what
    they are for; empty elsewhere."""
    pieces = [piece.strip() for piece in re.split(r",\s+(?:and\s+)?|\s+and\s+|;\s+", text)]
    fits = len(pieces) > 1 and all(_VALUE_FIRST.match(piece) and " for " in piece for piece in pieces)
    return pieces if fits else []


_ITEM = re.compile(r"([^():;]*?)\(([^()]*)\)")
_NAME_STARTS = re.compile(
    r":|;|,\s*(?:and\s+)?|\band\b|\bor\b|\bincludes?\b|\bare\b|\bis\b|\bhave\b|\bhas\b|\boffers?\b"
)


def bracketed_items(text: str) -> tuple[str, list[tuple[str, str]]]:
    """What stands before several ``name (price)``, and each name with what is in its brackets."""
    items: list[tuple[str, str]] = []
    head = ""
    for found in _ITEM.finditer(text):
        if not PRICE.search(found[2]):
            continue
        parts = _NAME_STARTS.split(found[1])
        name = parts[-1].strip()
        if not items:
            head = (text[: found.start()] + found[1][: len(found[1]) - len(parts[-1])]).strip(" ,:")
        if name:
            items.append((name, found[2].strip()))
    return head, items
