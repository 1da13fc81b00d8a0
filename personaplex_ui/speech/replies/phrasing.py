"""Turns the text of a role into what the assistant can say: the first person, whole sentences. Pure."""

import re

_VERBS = (
    r"is|are|was|were|has|have|costs?|starts?|can|cannot|can't|may|must|will|do|does|includes?|contains?|"
    r"(?<=I )am"
)
VERB = re.compile(rf"\b(?:{_VERBS})\b")
_LABEL = re.compile(r"^([A-Za-z][\w' -]{1,40}?):\s+(\S.*)$", re.DOTALL)
_HEADINGS = frozenset(
    ("information", "info", "facts", "details", "notes", "note", "background", "context", "about")
)
_LISTS = frozenset(("menu", "prices", "price list", "rates", "services", "offers", "products"))
_PEOPLE = re.compile(
    r"^(?:adults?|students?|children|kids|seniors?|members?|families|groups)\b", re.IGNORECASE
)
_STATES = re.compile(r"^(?:available|open|closed|located)\b", re.IGNORECASE)
_PARTICIPLE = re.compile(r"\b(available|included|required|allowed|closed|needed|possible)\b")
_ENDS_WITH_VERB = re.compile(r"\b(?:pay|get|travel|fly|ride|eat|enter|stay|go|cost|start|begin|save)$")

_PERSONS = (
    (r"\b[Yy]ou are\b", "I am"),
    (r"\b[Yy]ou're\b", "I'm"),
    (r"\b[Yy]ou were\b", "I was"),
    (r"\b[Yy]ou've\b", "I've"),
    (r"\b[Yy]ourself\b", "myself"),
    (r"\b[Yy]ours\b", "mine"),
    (r"(?<=[a-z] )your\b", "my"),
    (r"\b[Yy]our\b", "My"),
    (r"\b(to|for|with|of|from|at|by|about|tells?|asks?|gives?|calls?) you\b", r"\1 me"),
    (r"\b[Yy]ou\b", "I"),
)


def without_heading(text: str) -> str:
    """``text`` without a heading such as ``Information:`` at its start."""
    label, text_after = label_of(text)
    return text_after if label.lower() in _HEADINGS else text


def label_of(text: str) -> tuple[str, str]:
    """``Deposit required`` and ``$150`` of ``Deposit required: $150``; an empty label where there is none."""
    found = _LABEL.match(text)
    if not found or VERB.search(found[1]) or len(found[1].split()) > 5:
        return "", text
    return found[1].strip(), found[2]


def in_first_person(text: str) -> str:
    """``You work for`` becomes ``I work for``."""
    for pattern, words in _PERSONS:
        text = re.sub(pattern, words, text)
    return text


def speakable(text: str) -> str:
    """``text`` with what only the eye understands, such as ``$8/month``, in words."""
    text = re.sub(r"\s*\(([^()]*)\)", r", \1,", text)
    text = re.sub(r",\s*([,.;:])", r"\1", text)
    text = re.sub(r"(?<=\d)\s?/\s?(?=\d)", " for ", text)
    text = re.sub(r"(?<=\d)\s?/\s?(?=[a-z])", " per ", text)
    return " ".join(text.split()).strip(" ,;")


def _is_plural(name: str) -> bool:
    words = name.split(" of ")[0].split(" for ")[0].split()
    last = words[-1].lower() if words else ""
    return (last.endswith("s") and not last.endswith(("ss", "us", "is"))) or last in ("children", "people")


def be_for(name: str) -> str:
    """``is`` or ``are``."""
    return "are" if _is_plural(name) else "is"


def priced(label: str, name: str, rest: str) -> str:
    """``Burgers are $8``; with a label for groups of people ``Tickets for adults are $14``."""
    if label and _PEOPLE.match(name):
        return f"{label} for {name} {be_for(label)} {rest}"
    return f"{name} {rest}" if _ENDS_WITH_VERB.search(name) else f"{name} {be_for(name)} {rest}"


def labelled(label: str, rest: str) -> str:
    """``Label: rest`` as a sentence."""
    if not label:
        return rest
    if label.lower() in _LISTS or _PEOPLE.match(rest):
        return f"{label}: {rest}"
    if label[0].isupper() and label.lower().rstrip("s").endswith("day"):
        return f"{label}: {rest}"
    if label.lower() in ("phone", "telephone", "tel"):
        label = "Phone number"
    lower = label if label.split()[0].isupper() or label[1:2].isupper() else label[0].lower() + label[1:]
    return f"The {lower} {be_for(label)} {rest}"


def completed(text: str, company: bool) -> str:
    """``text`` with the verb that notes leave out: ``Open until 9`` becomes ``We are open until 9``."""
    if _STATES.match(text) and not VERB.search(text):
        return f"{'We are' if company else 'It is'} {text[0].lower()}{text[1:]}"
    if not VERB.search(text) and not re.match(r"no\b", text, re.IGNORECASE):
        found = _PARTICIPLE.search(text)
        if found and found.start() > 0 and len(text[: found.start()].split()) <= 5:
            name = text[: found.start()].strip()
            text = f"{name} {be_for(name)} {text[found.start() :]}"
    return text


def as_sentence(text: str) -> str:
    """``text`` with a capital letter and a point."""
    text = " ".join(text.split()).strip(" ,;")
    if not text:
        return ""
    text = text[0].upper() + text[1:]
    return text if text[-1] in ".!?" else text + "."
