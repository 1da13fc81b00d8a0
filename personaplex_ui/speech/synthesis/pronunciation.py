"""From the words of a sentence to Kokoro's phonemes. Pure.

Small words are unstressed, and change with what follows: ``the`` before a vowel, ``to`` before a pause. The
conventions are those of misaki, on whose phonemes Kokoro was trained.
"""

import re

from personaplex_ui.speech.synthesis.letter_sounds import LONGEST_WORD, letters_sounded
from personaplex_ui.speech.synthesis.lexicon import Lexicon, with_s
from personaplex_ui.speech.synthesis.stress import PRIMARY, begins_with_vowel, lowered, marked, raised

TOKEN = re.compile(r"[A-Za-z](?:\.[A-Za-z])+(?:'s\b)?|[A-Za-z]+(?:['-][A-Za-z]+)*'?|[,.!?;:—…]")

LETTERS = dict(
    zip(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (
            "ˈA bˈi sˈi dˈi ˈi ˈɛf ʤˈi ˈAʧ ˈI ʤˈA kˈA ˈɛl ˈɛm ˈɛn ˈO pˈi kjˈu ˈɑɹ ˈɛs tˈi jˈu vˈi "
            "dˈʌbᵊlju ˈɛks wˈI zˈi"
        ).split(),
        strict=True,
    )
)
_SPELLED = frozenset(
    "ATM VAT US USA UK EU UN IT ID PM AM TV PC GPS USB VIP DIY FAQ CEO CFO CTO HR PR IQ AC DC ER ICU "
    "MRI AI API URL FBI CIA IRS DMV UPS LA NY DVD CD DJ MC BBC CNN NBC ABC PDF SMS IP IPA BBQ BLT "
    "IOU EV SUV RV OK LED".split()
)
_VERB_AFTER = frozenset(
    "to will would can could should may might must shall do does did don't doesn't didn't can't won't please "
    "let's i we you they i'll we'll you'll they'll i'd we'd you'd not".split()
)
_NOUN_AFTER = frozenset(
    "the a an this that these those my your his her its our their no any some each every".split()
)
_PAST_AFTER = frozenset("have has had was were been is are be having i've we've you've they've".split())
_SMALLEST_PART = 3
"""Letters of each half of a compound such as ``cheesecake``."""

_SHORTEST_COMPOUND = 7


class Pronunciation:
    """Sounds for words: of the lexicon, or by its own rules where it does not know them."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon

    def phonemes(self, words: str) -> str:
        """The phonemes of ``words``, as ``spoken`` gives them, with their punctuation."""
        tokens = TOKEN.findall(words)
        said: list[str] = []
        follows: bool | None = None
        for at in range(len(tokens) - 1, -1, -1):
            if not tokens[at][0].isalpha():
                said.append(tokens[at])
                follows = None
                continue
            sounds = self._in_context(tokens, at, follows)
            said.append(f" {sounds}")
            vowel = begins_with_vowel(sounds)
            follows = follows if vowel is None else vowel
        text = "".join(reversed(said)).strip()
        return text.replace("ɾ", "T").replace("ʔ", "t")

    def _in_context(self, tokens: list[str], at: int, follows: bool | None) -> str:
        word = tokens[at]
        small = word.lower()
        before = tokens[at - 1].lower() if at else "."
        if "." in word:
            return spelled_sounds(word)
        if word == "A" and (before not in ".!?…" or follows is None):
            return LETTERS["A"]
        after = tokens[at + 1].lower() if at + 1 < len(tokens) else ""
        sounds = _weak_form(small, follows, after)
        if sounds:
            return sounds
        kinds = _kinds(before, follows, after)
        sounds = self.word_sounds(word, kinds)
        if word.isupper() and len(word) > 1:
            return raised(sounds)
        return marked(sounds, "ˌ") if word[0].isupper() else sounds

    def word_sounds(self, word: str, kinds: tuple[str, ...] = ()) -> str:
        """The phonemes of one word; some for every word that has a letter."""
        if "-" in word:
            return self._lexicon.sounds_of(word, kinds) or " ".join(map(self.word_sounds, word.split("-")))
        if len(word) == 1:
            return LETTERS[word.upper()]
        if word in _SPELLED or (
            word.isupper() and _is_spelled(word) and not self._lexicon.sounds_of(word, kinds)
        ):
            return spelled_sounds(word)
        if re.fullmatch("[A-Z]{2,5}s", word) and not self._lexicon.sounds_of(word, kinds):
            return with_s(self.word_sounds(word[:-1], kinds))
        return self._lexicon.sounds_of(word, kinds) or self._in_parts(word) or letters_sounded(word)

    def _in_parts(self, word: str) -> str | None:
        """A word unknown as a whole: ``PayPal`` by its capitals, ``cheesecake`` by its two words."""
        if word.endswith("'s"):
            return with_s(self.word_sounds(word[:-2]))
        if re.match("[ODL]'[A-Z]", word):
            return {"O": "O", "D": "d", "L": "l"}[word[0]] + self.word_sounds(word[2:])
        if "'" in word:
            return None
        if len(word) <= 6 and not re.search("[aeiouy]", word.lower()):
            return spelled_sounds(word)
        parts = re.findall(r"[A-Z]{2,}(?![a-z])|[A-Z]?[a-z]+|[A-Z]", word)
        if 1 < len(parts) <= 6:
            first, *others = (self.word_sounds(part) for part in parts)
            return "".join([first, *map(lowered, others)])
        if not _SHORTEST_COMPOUND <= len(word) <= LONGEST_WORD:
            return None
        cuts = range(len(word) - _SMALLEST_PART, _SMALLEST_PART - 1, -1)
        halves = [(word[:cut], word[cut:]) for cut in cuts]
        for first, second in halves:
            one, two = self._lexicon.sounds_of(first), self._lexicon.sounds_of(second)
            if one and two and PRIMARY in one and PRIMARY in two:
                return one + lowered(two)
        return None


def spelled_sounds(letters: str) -> str:
    """The names of ``letters``, the last of them stressed."""
    end = "'s" if letters.endswith("'s") else ""
    names = [LETTERS[letter] for letter in letters.removesuffix("'s").upper() if letter in LETTERS]
    sounds = "".join([*map(lowered, names[:-1]), names[-1]])
    return with_s(sounds) if end else sounds


def _is_spelled(word: str) -> bool:
    return len(word) <= 3 or (len(word) <= 5 and not re.search("[AEIOUY]", word[1:-1]))


def _kinds(before: str, follows: bool | None, after: str) -> tuple[str, ...]:
    """The part of speech that the words beside suggest, as in ``close the door``."""
    kinds: tuple[str, ...] = ("None",) if follows is None else ()
    if before in _VERB_AFTER or (before in ".!?…" and after in _NOUN_AFTER):
        return (*kinds, "VERB")
    if before in _NOUN_AFTER:
        return (*kinds, "NOUN")
    return (*kinds, "VBN", "VBD") if before in _PAST_AFTER else kinds


def _weak_form(word: str, follows: bool | None, after: str) -> str | None:
    """How a small word sounds before a vowel (True), a consonant (False) or a pause (None)."""
    match word:
        case "a":
            return "ɐ" if follows is not None else LETTERS["A"]
        case "an":
            return "ɐn"
        case "the":
            return "ði" if follows else "ðə"
        case "to":
            return {None: "tu", False: "tə", True: "tʊ"}[follows]
        case "am":
            return "ɐm" if follows is not None else "æm"
        case "in":
            return "ɪn" if follows is not None else "ˈɪn"
        case "i":
            return "ˌI"
        case "used" if after == "to":
            return "jˈust"
        case _:
            return None
