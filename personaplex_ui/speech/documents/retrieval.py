"""Finds the passages that a question is about, by its words: BM25 over their stems. Pure.

Source: S. Robertson and H. Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from personaplex_ui.speech.parts import Turn
from personaplex_ui.speech.replies.words import SILENT, canonical, raw_words

MOST_PASSAGES = 20_000
MOST_FOUND = 4
SATURATION = 1.2
LENGTH_WEIGHT = 0.75
ENOUGH = 0.25
"""A passage has to score this share of what one with all of the question's words could, roughly."""

LONGEST_QUESTION = 1_000
EARLIER_WEIGHT = 0.3
"""Of the words of the caller's turn before the last, which may say what the last one is about."""


class Documents:
    """``passages``, each a text; those after MOST_PASSAGES are left out."""

    def __init__(self, passages: Iterable[str] = ()) -> None:
        self.passages = list(passages)[:MOST_PASSAGES]
        terms = [Counter(_terms(passage)) for passage in self.passages]
        lengths = [sum(counts.values()) for counts in terms]
        mean = sum(lengths) / len(lengths) if lengths else 1.0
        self._having: dict[str, list[tuple[int, float]]] = defaultdict(list)
        """For each term the passages that have it, with how much it counts there."""
        for number, counts in enumerate(terms):
            longer = 1 - LENGTH_WEIGHT + LENGTH_WEIGHT * lengths[number] / max(mean, 1.0)
            for term, count in counts.items():
                weight = count * (SATURATION + 1) / (count + SATURATION * longer)
                self._having[term].append((number, weight))

    def __bool__(self) -> bool:
        return bool(self.passages)

    def about(self, turns: Sequence[Turn]) -> tuple[str, ...]:
        """The passages that may answer the caller's last words in ``turns``, the best first."""
        said = [turn.text[-LONGEST_QUESTION:] for turn in turns if turn.speaker == "caller"][-2:]
        if not said:
            return ()
        wanted = dict.fromkeys(_terms(said[-1]), 1.0)
        for term in _terms(said[0]) if len(said) > 1 else ():
            wanted.setdefault(term, EARLIER_WEIGHT)
        scores: dict[int, float] = defaultdict(float)
        possible = 0.0
        for term, share in wanted.items():
            having = self._having.get(term, ())
            rare = math.log(1 + (len(self.passages) - len(having) + 0.5) / (len(having) + 0.5))
            possible += rare * share if share == 1.0 else 0.0
            for number, weight in having:
                scores[number] += rare * share * weight
        best = sorted(scores, key=lambda number: (-scores[number], number))[:MOST_FOUND]
        return tuple(self.passages[number] for number in best if scores[number] >= ENOUGH * possible)


def _terms(text: str) -> list[str]:
    return [canonical(word) for word in raw_words(text) if word not in SILENT]
