"""How telephone numbers, web and e-mail addresses are said. Pure."""

import re

from personaplex_ui.speech.synthesis.numbers import cardinal, digits

TOP_DOMAINS = "com org net edu gov info shop app dev co io ai uk us de fr eu ca au nz ie tv me biz"
_SAID_DOMAINS = frozenset("com org net gov info shop app dev biz me".split())

EMAIL = re.compile(r"(?<![\w.+-])([\w.+-]{1,64})@((?:[\w-]{1,63}\.){1,4}[A-Za-z]{2,24})(?![\w-])")
URL = re.compile(
    r"(?<![\w@.])(?:(?:https?|ftp)://(?:www\.)?|www\.)([\w.-]{1,120}(?::\d{2,5})?(?:/[^\s\"<>,;()]{0,300})?)"
    rf"|(?<![\w@.])((?:[A-Za-z0-9][\w-]{{0,62}}\.){{1,4}}(?:{TOP_DOMAINS.replace(' ', '|')})"
    r"(?:/[^\s\"<>,;()]{0,300})?)(?![\w-]|\.\w)",
    re.I,
)
PHONE = re.compile(
    r"(?<![\w$£€.,/:-])(?:\+ ?\d[\d ().-]{5,20}\d"  # international
    r"|(?:1[ .-])?\(?\d{3}\)?[ .-]{1,2}\d{3}[ .-]\d{4}"  # North American
    r"|\d{3}-\d{4}"
    r"|0\d{2,4}[ -]\d{3,4}(?:[ -]\d{3,4})?|0\d{9,10})(?!\w|[.,:]\d|-\d)"
)
ZIP = re.compile(
    r"(?<![\w-])(\d{5})-(\d{4})(?![\w-])|(?<=\b[A-Z]{2} )(\d{5})(?![\w-])|(?<=[Zz][Ii][Pp] )(\d{5})\b"
)
CODE = re.compile(r"(?<![A-Za-z])([A-Z]{2}|[B-DF-HJ-NP-TV-Z]{3,4})-?(?=\d)")
_SIGNS = {
    ".": "dot", "/": "slash", "-": "dash", "_": "underscore", "@": "at", ":": "colon", "?": "question mark",
    "=": "equals", "&": "and", "+": "plus", "#": "hash", "%": "percent", "~": "tilde",
}  # fmt: skip


def spelled(letters: str) -> str:
    """``A.T.M`` for ATM: what the pronunciation takes for names of letters."""
    return ".".join(letters.upper())


def email_said(found: re.Match[str]) -> str:
    return f"{_parts(found[1])} at {_parts(found[2])}"


def url_said(found: re.Match[str]) -> str:
    address = found[1] or found[2]
    end = "".join(re.findall(r"[.?!:]+$", address))
    return _parts(address.removesuffix(end).rstrip("/")) + end


def zip_said(found: re.Match[str]) -> str:
    return ", ".join(digits(group) for group in found.groups() if group)


def code_said(found: re.Match[str]) -> str:
    """Letters before a number, as of a flight: ``B.A`` for BA2490."""
    return f"{spelled(found[1])} "


def phone_said(found: re.Match[str]) -> str:
    """The digits, with a pause between their groups."""
    groups = [digits(group) for group in re.findall(r"\d+", found[0])]
    return ("plus " if found[0].startswith("+") else "") + ", ".join(groups)


def _parts(address: str) -> str:
    words: list[str] = []
    for part in re.findall(r"[A-Za-z]+|\d+|[^A-Za-z\d]", address):
        if part.isdigit():
            words.append(cardinal(int(part)) if len(part) <= 2 and part[0] != "0" else digits(part))
        elif not part.isalpha():
            words.append(_SIGNS.get(part, ""))
        elif words[-1:] == ["dot"] and len(part) <= 3 and part.lower() not in _SAID_DOMAINS:
            words.append(spelled(part))
        elif len(part) == 1:
            words.append(part.upper())
        else:
            words.append(part)
    return " ".join(word for word in words if word)
