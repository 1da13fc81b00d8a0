"""The words of a question as the role writes them: two that a recogniser split are joined, and one that only
sounds like a word of the role becomes it. Pure."""

from collections.abc import Mapping

from personaplex_ui.speech.replies.role_facts import RoleFacts
from personaplex_ui.speech.replies.sound_alike import meant_by
from personaplex_ui.speech.replies.words import SILENT, SOFT, STANDS_FOR, canonical, day_number, raw_words


def read_words(text: str, facts: RoleFacts, known: frozenset[str]) -> list[str]:
    """The canonical words of ``text`` that say something. Two that are one word in the role are joined; one
    that only sounds like a word of the role becomes it."""
    raw = raw_words(text)
    found: list[str] = []
    skip = False
    for index, word in enumerate(raw):
        if skip:
            skip = False
            continue
        following = raw[index + 1] if index + 1 < len(raw) else ""
        joined = _joined(word, following, facts.vocabulary)
        if joined:
            found.append(joined)
            skip = True
        elif not word[0].isdigit() and word not in SILENT and day_number(word) is None:
            name = canonical(word)
            if name not in known and name not in SOFT and name not in STANDS_FOR:
                name = meant_by(word, facts.vocabulary) or name
            if name not in SILENT:
                found.append(name)
    return found


def _joined(word: str, following: str, vocabulary: Mapping[str, str]) -> str | None:
    """The word of the role that a recogniser wrote as the two, if there is one."""
    both = word + following
    if not following or len(both) < 5:
        return None
    if both in vocabulary or both + "s" in vocabulary or both.removesuffix("s") in vocabulary:
        return canonical(both)
    if word in vocabulary or following in vocabulary or word in SILENT or following in SILENT:
        return None
    return meant_by(both, vocabulary) if len(both) >= 8 else None
