"""Who the assistant is by its role: name, company, trade. Pure."""

import re
from dataclasses import dataclass

_PROTECTED = "\ue002"
_ABBREVIATED = re.compile(r"\b(Dr|Mr|Mrs|Ms|St|Prof)\.(?=\s)")
_NAME = r"([A-Z][\w'-]+(?:\s[A-Z][\w'-]+){0,2})"
_NAMES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"\b[Yy]our name is {_NAME}",
        rf"\b[Yy]ou are called {_NAME}",
        rf"\b[Yy](?:ou are|ou're) {_NAME}(?=,| from| at| of|\.|$| and| who)",
        rf"\bnamed {_NAME}",
    )
)
_COMPANY = r"((?:the |The )?[^,.;:]+?)(?= which is| which are| that is| and your| and you|,|\.|;|:|$)"
_COMPANIES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"\b[Yy]ou (?:work|are working) (?:for|at|in) {_COMPANY}",
        rf"\b(?:and|who|you) works? (?:for|at) {_COMPANY}",
        rf"\b(?:phone|phones|calls|orders|bookings|reservations|questions) (?:of|for|at) {_COMPANY}",
        r"\b(?:receptionist|host|hostess|concierge|clerk|agent|assistant|waiter|waitress|manager|owner|"
        r"guide|"
        rf"representative|operator) (?:of|at|for|in|from) {_COMPANY}",
        r"\b[Yy]ou are [A-Z][\w'-]+(?: [A-Z][\w'-]+)? (?:from|at|of) " + _COMPANY,
    )
)
_TRADE = re.compile(r"(?:which is|, ) ?an? ((?:[\w-]+ ){0,3}?[\w-]+)(?= and your|,|\.| in | near |$)")


@dataclass(frozen=True, slots=True)
class Identity:
    """``name`` of the assistant, ``company`` it works for, ``trade``: what that is; empty where not told."""

    name: str = ""
    company: str = ""
    trade: str = ""


def identity_of(role: str) -> Identity:
    """What ``role`` says of the assistant itself."""
    role = _ABBREVIATED.sub(rf"\1{_PROTECTED}", " ".join(role.split()))
    name = next((found[1] for pattern in _NAMES if (found := pattern.search(role))), "")
    company, trade = "", ""
    for pattern in _COMPANIES:
        found = pattern.search(role)
        if found and any(letter.isupper() for letter in found[1]) and len(found[1]) <= 60:
            company = found[1].strip()
            kind = _TRADE.match(role[found.end() :].lstrip()) or _TRADE.match(role[found.end() :])
            trade = kind[1] if kind else ""
            break
    return Identity(*(text.replace(_PROTECTED, ".") for text in (name, company, trade)))
