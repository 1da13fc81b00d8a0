"""The caller's words of one line, and the words of one piece as they may be shown. Pure."""

import unicodedata
from bisect import bisect_right

MOST_CHARACTERS = 4_000
"""Of one line, which has at most a minute of speech, some 1,200 characters. More is not kept."""


def plain_piece(text: str) -> str:
    """``text`` on one line, with single spaces and without control characters and lone surrogates; it begins
    with a space if ``text`` begins with white space. Empty if there are no words in it."""
    words = " ".join(_printable(text[:MOST_CHARACTERS]).split())
    return f" {words}" if words and text[:1].isspace() else words


def _printable(text: str) -> str:
    return "".join(c for c in text if c.isspace() or unicodedata.category(c) not in ("Cc", "Cs"))


class CallerWords:
    """Pieces of text with the times at which they were said, which may come in any order."""

    def __init__(self) -> None:
        self.text = ""
        """In the order of time, without white space around it."""
        self._starts_sec: list[float] = []
        self._pieces: list[str] = []
        self._characters = 0

    def add(self, piece: str, start_sec: float) -> None:
        """``piece``, as ``plain_piece`` gives it; pieces of the same time stay in the order they came."""
        if self._characters + len(piece) > MOST_CHARACTERS:
            return
        self._characters += len(piece)
        place = bisect_right(self._starts_sec, start_sec)
        is_last = place == len(self._pieces)
        self._starts_sec.insert(place, start_sec)
        self._pieces.insert(place, piece)
        self.text = f"{self.text}{piece}".lstrip() if is_last else "".join(self._pieces).lstrip()
