"""The words whose American pronunciation is known, and those made from them by an ending.

Words and sounds come from files (misaki's, Apache-2.0), whose phonemes are those that Kokoro was trained on.
A word may sound in several ways: by its part of speech (``NOUN``, ``VERB``, ...), or as ``None`` where a
pause follows.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from personaplex_ui.errors import why_of
from personaplex_ui.speech.parts import SpeechPartFailed
from personaplex_ui.speech.synthesis.own_words import OWN_WORDS

Sounds = str | Mapping[str, str | None]
Words = Mapping[str, Sounds]

LARGEST_FILE_BYTES = 16_000_000
MOST_LETTERS = 40
"""A longer word is in no lexicon."""

_FLAPPED_AFTER = frozenset("AIOWYiuæɑəɛɪɹʊʌ")
"""Between one of these and a vowel an American ``t`` is a tap."""


class Lexicon:
    """Looks words up, in ``words`` in order. Never changes, so threads may share it."""

    def __init__(self, *words: Words) -> None:
        self._words = words

    @classmethod
    def read(cls, paths: Sequence[Path]) -> "Lexicon":
        """Our own words, and those of JSON files, the best first.

        Raises:
            SpeechPartFailed: one of them cannot be read or is no lexicon.
        """
        return cls(OWN_WORDS, *(_read(path) for path in paths))

    def sounds_of(self, word: str, kinds: Sequence[str] = ()) -> str | None:
        """The phonemes of ``word``, as the first of ``kinds`` that the lexicon tells apart; None if it is
        unknown."""
        if len(word) > MOST_LETTERS:
            return None
        for form in dict.fromkeys((word, word.lower(), word.capitalize())):
            found = self._entry(form, kinds)
            if found:
                return found
        return self._with_ending(word.lower(), kinds)

    def _entry(self, word: str, kinds: Sequence[str]) -> str | None:
        for words in self._words:
            found = words.get(word)
            if isinstance(found, str):
                return found
            if found is not None:
                chosen = next((found[kind] for kind in kinds if found.get(kind)), None)
                return chosen or found.get("DEFAULT")
        return None

    def _either(self, word: str, kinds: Sequence[str]) -> str | None:
        return (self._entry(word, kinds) or self._entry(word.capitalize(), kinds)) if len(word) > 1 else None

    def _with_ending(self, word: str, kinds: Sequence[str]) -> str | None:
        if "-" in word:
            return None
        if word.endswith("'"):
            return self._either(word[:-1], kinds) or self._with_ending(word[:-1], kinds)
        if word.endswith("'s"):
            stem = self.sounds_of(word[:-2], kinds)
            return with_s(stem) if stem else None
        for ending, join in (
            ("s", with_s),
            ("ed", with_ed),
            ("ing", with_ing),
            ("ly", with_ly),
            ("er", with_er),
        ):
            for stem in _stems(word, ending):
                found = self._either(stem, kinds)
                if found:
                    return join(found)
        return None


def _stems(word: str, ending: str) -> list[str]:
    """What ``word`` may be without its ending: ``stopping`` from stop, ``making`` from make, ``tries`` from
    try."""
    stem = word.removesuffix(ending)
    if stem == word or len(stem) < 2:
        return []
    if ending == "s":
        if stem.endswith("s"):
            return []
        changed = [stem[:-2] + "y"] if stem.endswith("ie") and len(stem) > 3 else []
        return [*changed, stem, *([stem[:-1]] if stem.endswith("e") and len(stem) > 3 else [])]
    if ending == "ly":
        return [stem, *([stem[:-1] + "y"] if stem.endswith("i") else [])]
    doubled = [stem[:-1]] if len(stem) > 3 and stem[-1] == stem[-2] and stem[-1] not in "aeiou" else []
    return [stem, f"{stem}e", *doubled, *([stem[:-1] + "y"] if stem.endswith("i") else [])]


def with_s(stem: str) -> str:
    """The plural, the third person, the genitive."""
    if stem[-1] in "ptkfθT":
        return f"{stem}s"
    return f"{stem}{'ᵻ' if stem[-1] in 'szʃʒʧʤ' else ''}z"


def with_ed(stem: str) -> str:
    if stem[-1] in "pkfθʃsʧ":
        return f"{stem}t"
    if stem[-1] in "td":
        return f"{_flapped(stem)}ᵻd"
    return f"{stem}d"


def with_ing(stem: str) -> str:
    return f"{_flapped(stem)}ɪŋ"


def with_er(stem: str) -> str:
    return f"{_flapped(stem)}əɹ"


def with_ly(stem: str) -> str:
    return f"{stem.removesuffix('ᵊl').removesuffix('l')}li" if stem.endswith("l") else f"{stem}li"


def _flapped(stem: str) -> str:
    return f"{stem[:-1]}ɾ" if stem.endswith("t") and stem[-2:-1] in _FLAPPED_AFTER else stem


def _read(path: Path) -> Words:
    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise ValueError("it is too large for a lexicon")
        words: object = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(words, dict):
            raise ValueError("it holds no words")
    except (OSError, ValueError, RecursionError) as error:
        raise SpeechPartFailed(
            f"The lexicon {path.name} cannot be used: {why_of(error)}. Delete it, and it is fetched again."
        ) from error
    return cast(Words, words)
