"""Finds an assistant that says the same words again and again, by its text: a model that is stuck in its
words says them with another sound each time."""

from collections import deque

LONGEST_PHRASE_WORDS = 16
LEAST_WORDS = 12
"""Also of a short phrase: people do say "no, no, no, no"."""

LEAST_TIMES = 4


class RepeatedWords:
    """Keeps the last 16 words."""

    def __init__(self) -> None:
        self._words: deque[str] = deque(maxlen=LONGEST_PHRASE_WORDS)
        """The newest comes first."""
        self._runs = [0] * LONGEST_PHRASE_WORDS
        """For each length of a phrase: how many words in a row were those said a phrase before."""
        self._unfinished = ""

    def say(self, text: str) -> bool:
        """Take the next piece of text; one that begins a word begins with a space. Returns whether a phrase
        goes on being repeated."""
        *whole, self._unfinished = (self._unfinished + text).split(" ")
        found = False
        for word in whole:
            plain = "".join(letter for letter in word.lower() if letter.isalnum())
            found |= bool(plain) and self._next(plain)
        return found

    def interrupted(self) -> None:
        """The caller spoke: what is said now may be an answer to something else."""
        self._words.clear()
        self._runs = [0] * LONGEST_PHRASE_WORDS
        self._unfinished = ""

    def _next(self, word: str) -> bool:
        for index, before in enumerate(self._words):
            self._runs[index] = self._runs[index] + 1 if before == word else 0
        self._words.appendleft(word)
        return any(
            run + length >= max(LEAST_WORDS, LEAST_TIMES * length)
            for length, run in enumerate(self._runs, start=1)
        )
