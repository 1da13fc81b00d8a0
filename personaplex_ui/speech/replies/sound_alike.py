"""Which word of the role a recogniser may have meant by a word that the role does not have. Pure."""

import re
from collections.abc import Mapping

from personaplex_ui.speech.replies.vocabulary import OFTEN_HEARD
from personaplex_ui.speech.replies.words import SILENT, stem

SHORTEST = 4
"""Letters; shorter words sound like too many others."""

_SOUNDS = (
    ("tch", "x"), ("sch", "x"), ("ch", "x"), ("sh", "x"), ("ph", "f"), ("gh", ""), ("ck", "k"), ("qu", "kw"),
    ("kn", "n"), ("wr", "r"), ("th", "t"), ("dge", "j"), ("c(?=[eiy])", "s"), ("c", "k"), ("q", "k"),
    ("z", "s"), ("v", "f"), ("d", "t"), ("g(?=[eiy])", "j"), ("b", "p"),
)  # fmt: skip


def sound_code(word: str) -> str:
    """The consonants of ``word`` as they sound, with a mark for a vowel at its start; ``r`` at the end is not
    heard."""
    word = word.lower()
    for letters, sound in _SOUNDS:
        word = re.sub(letters, sound, word)
    code = ("a" if word[:1] in "aeiou" else "") + re.sub("[aeiouyhw]", "", word)
    return re.sub(r"(.)\1+", r"\1", code).removesuffix("r") or code


def distance(first: str, second: str) -> int:
    """How many letters to change, add or take away to make one word of the other."""
    row = list(range(len(second) + 1))
    for i, letter in enumerate(first, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(second, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (letter != other))
    return row[-1]


def meant_by(word: str, vocabulary: Mapping[str, str]) -> str | None:
    """The value in ``vocabulary`` (raw words of the role) whose word is nearest to ``word``, if one is near
    enough."""
    if len(word) < SHORTEST or word in OFTEN_HEARD or stem(word) in OFTEN_HEARD or word in SILENT:
        return None
    code = sound_code(word)
    best: tuple[float, str] | None = None
    for known, value in vocabulary.items():
        if len(known) < SHORTEST or abs(len(known) - len(word)) > 4:
            continue
        share = distance(word, known) / max(len(word), len(known))
        same_sound = len(code) >= 2 and code == sound_code(known) and share <= 0.67
        if (same_sound or (share <= 0.25 and word[0] == known[0])) and (best is None or share < best[0]):
            best = (share, value)
    return best[1] if best else None
