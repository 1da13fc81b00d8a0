"""Finds an assistant that says the same words again and again, by its text: a model that is stuck in its
words says them with another sound each time.

Chinese, Japanese, Thai and their like have no spaces between words. There, a letter counts as a word.
"""

import re
from collections import deque

LONGEST_PHRASE_WORDS = 16
LONGEST_PHRASE_LETTERS = 40
LEAST_WORDS = 12
"""Also of a short phrase: people do say "no, no, no, no"."""
LEAST_LETTERS = 24
"""The same where letters are counted: a word has about two."""

LEAST_TIMES = 4
LONGEST_WORD_LETTERS = 64
"""What goes on for longer without a space is taken for several words."""

# Thai, Lao, Tibetan, Burmese; Khmer; kana; Han.
_LETTERS = (
    "\u0e00-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f"
    "\U00020000-\U0003ffff"
)
_LETTER = re.compile(f"[{_LETTERS}]")
_WORD = re.compile(rf"[{_LETTERS}]|[^\s{_LETTERS}]{{1,{LONGEST_WORD_LETTERS}}}")


class RepeatedWords:
    """Keeps the last 40 words."""

    def __init__(self) -> None:
        self._words: deque[str] = deque(maxlen=LONGEST_PHRASE_LETTERS)
        """The newest comes first."""
        self._runs = [0] * LONGEST_PHRASE_LETTERS
        """For each length of a phrase: how many words in a row were those said a phrase before."""
        self._unfinished = ""

    def say(self, text: str) -> bool:
        """Take the next piece of text; one that begins a word begins with a space. Returns whether a phrase
        goes on being repeated."""
        text = self._unfinished + text
        words = _WORD.findall(text)
        goes_on = bool(words) and text.endswith(words[-1]) and len(words[-1]) < LONGEST_WORD_LETTERS
        self._unfinished = words.pop() if goes_on and not _LETTER.match(words[-1]) else ""
        found = False
        for word in words:
            plain = "".join(letter for letter in word.lower() if letter.isalnum())
            found |= bool(plain) and self._next(plain)
        return found

    def interrupted(self) -> None:
        """The caller spoke: what is said now may be an answer to something else."""
        self._words.clear()
        self._runs = [0] * LONGEST_PHRASE_LETTERS
        self._unfinished = ""

    def _next(self, word: str) -> bool:
        for index, before in enumerate(self._words):
            self._runs[index] = self._runs[index] + 1 if before == word else 0
        self._words.appendleft(word)
        is_letter = _LETTER.match(word) is not None
        longest = LONGEST_PHRASE_LETTERS if is_letter else LONGEST_PHRASE_WORDS
        least = LEAST_LETTERS if is_letter else LEAST_WORDS
        return any(
            run + length >= max(least, LEAST_TIMES * length)
            for length, run in enumerate(self._runs[:longest], start=1)
        )
