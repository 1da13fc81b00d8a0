"""Where a sentence ends: not at the points of abbreviations, initials, decimals, prices or times. Pure."""

import re

_ABBREVIATIONS = """
dr mr mrs ms prof st ave rd no nr tel ext approx inc ltd co corp vs etc e.g i.e a.m p.m jan feb mar
apr jun jul aug sep sept oct nov dec mon tue wed thu fri sat sun u.s u.k
"""
ABBREVIATIONS = frozenset(_ABBREVIATIONS.split())
ENDS_LATER = frozenset(("etc", "inc", "ltd", "co", "corp", "a.m", "p.m", "u.s", "u.k"))
"""Abbreviations that also end a sentence, where a capital letter follows."""

_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s)|\n+|[。！？]")  # noqa: RUF001
_LAST_WORD = re.compile(r"[\w.'’-]*$")  # noqa: RUF001
_INITIAL = re.compile(r"[A-Z]")
_LIST_NUMBER = re.compile(r"(?:^|\n)\s*\d{1,2}$")


def _ends(before: str, mark: str, after: str) -> bool | None:
    """Whether the sentence ``before`` ends at ``mark``, a point or the like that white space follows; None if
    the word that comes next decides."""
    if not mark.startswith(".") or mark.startswith(".."):
        return True
    found = _LAST_WORD.search(before)
    word = found[0].rstrip(".") if found else ""
    if _LIST_NUMBER.search(before) or _INITIAL.fullmatch(word):
        return False
    if word.lower() in ("no", "nr"):  # a number's
        return not after.lstrip()[:1].isdigit() if after.strip() else None
    if word.lower() in ENDS_LATER:
        return after.lstrip()[:1].isupper() if after.strip() else None
    return word.lower() not in ABBREVIATIONS


class SentenceSplitter:
    """Cuts text that arrives in pieces into sentences. ``longest``: characters after which one without an end
    is cut at white space, so that speech can begin."""

    def __init__(self, longest: int = 300) -> None:
        self._longest = longest
        self._rest = ""

    def feed(self, piece: str) -> list[str]:
        """The sentences that are known to be complete now."""
        self._rest += piece
        found: list[str] = []
        start = 0
        for end in _END.finditer(self._rest):
            ends = _ends(self._rest[start : end.start()], end[0], self._rest[end.end() :])
            if ends is None:
                break
            if ends:
                found.append(self._rest[start : end.end()])
                start = end.end()
        self._rest = self._rest[start:]
        while len(self._rest) > self._longest:
            cut = self._rest.rfind(" ", 0, self._longest) + 1 or self._longest
            found.append(self._rest[:cut])
            self._rest = self._rest[cut:]
        return [sentence for sentence in map(_tidy, found) if sentence]

    def finish(self) -> list[str]:
        """What is left, as the last sentence."""
        rest, self._rest = _tidy(self._rest), ""
        return [rest] if rest else []


def _tidy(sentence: str) -> str:
    return " ".join(sentence.split())


def sentences_of(text: str) -> list[str]:
    """The sentences of the whole ``text``."""
    splitter = SentenceSplitter(longest=max(1, len(text)))
    return splitter.feed(text) + splitter.finish()
