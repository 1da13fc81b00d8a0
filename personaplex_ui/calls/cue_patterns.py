"""What a text begins with: a cue, perhaps the beginning of one, or neither. Depends on text only."""

import re
from dataclasses import dataclass

from personaplex_ui.calls.cues import Cue, Cues

_WORD = re.compile(r"\w+(?:['\u2019]\w+)*")
_APOSTROPHES = str.maketrans("", "", "'\u2019")


@dataclass(frozen=True, slots=True)
class CueMatch:
    """The first ``length`` characters of a text give ``cue``. ``marker``: what was written for it if it is
    one, empty for a phrase, which has words."""

    cue: Cue
    length: int
    marker: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text begins with. ``match``: the longest cue that is complete; ``may_grow``: whether more text
    may make another or a longer one; ``has_words``: whether that would be a phrase that has begun."""

    match: CueMatch | None = None
    may_grow: bool = False
    has_words: bool = False


class CuePatterns:
    """The markers and phrases of ``cues``, ready to be compared."""

    def __init__(self, cues: Cues) -> None:
        self.markers: list[tuple[str, Cue]] = []
        self.phrases: list[tuple[tuple[str, ...], Cue]] = []
        for cue, phrases in ((Cue.ASK, cues.ask), (Cue.HUMAN, cues.human)):
            for phrase in phrases:
                words = tuple(_plain(word) for word in _WORD.findall(phrase))
                if words:
                    self.phrases.append((words, cue))
                elif phrase.strip():
                    self.markers.append((phrase.strip(), cue))

    def __bool__(self) -> bool:
        return bool(self.markers or self.phrases)

    def read(self, text: str, begins_sentence: bool, word_over: bool) -> Reading:
        """What ``text`` begins with, white space included. ``begins_sentence``: only then it may be a phrase;
        ``word_over``: its last word is complete."""
        space = len(text) - len(text.lstrip())
        if space == len(text):
            return Reading(may_grow=bool(self.markers or (self.phrases and begins_sentence)))
        best, may_grow, has_words = self._read_markers(text, space)
        if begins_sentence:
            words = list(_WORD.finditer(text, space))
            for phrase, cue in self.phrases if words and words[0].start() == space else ():
                found = _read_phrase(phrase, words, text, word_over)
                if found is None:
                    may_grow = has_words = True
                elif found and (best is None or found > best.length):
                    best = CueMatch(cue, found)
        return Reading(best, may_grow, has_words)

    def _read_markers(self, text: str, space: int) -> tuple[CueMatch | None, bool, bool]:
        best: CueMatch | None = None
        may_grow = False
        for marker, cue in self.markers:
            if text.startswith(marker, space):
                if best is None or len(marker) > len(best.marker):
                    best = CueMatch(cue, space + len(marker), marker)
            elif marker.startswith(text[space:]):
                may_grow = True
        return best, may_grow, False


def _read_phrase(
    phrase: tuple[str, ...], words: list[re.Match[str]], text: str, word_over: bool
) -> int | None:
    """Where ``phrase`` ends in ``text``, whose words are ``words``; 0: it is not there; None: it may come."""
    for wanted, word in zip(phrase, words, strict=False):
        said = _plain(word[0])
        rest = text[word.end() :]
        if not word_over and rest in ("", "'", "\u2019"):
            return None if wanted.startswith(said) else 0
        if said != wanted:
            return 0
    return words[len(phrase) - 1].end() if len(words) >= len(phrase) else None


def _plain(word: str) -> str:
    return word.translate(_APOSTROPHES).casefold()
