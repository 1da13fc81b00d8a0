"""Texts in sentences, which is how they are said."""

from collections.abc import Iterator

from personaplex_ui.speech.replies import sentences

LONGEST_SENTENCE = 300
"""Characters, about 20 s. A longer one would keep the caller waiting, so it is cut at a space."""


def sentences_of(text: str) -> Iterator[str]:
    """The sentences of ``text``, none empty, none longer than LONGEST_SENTENCE."""
    for sentence in sentences.sentences_of(text):
        yield from short_enough(sentence)


def short_enough(sentence: str) -> Iterator[str]:
    """``sentence`` with single spaces between its words, cut where it is too long; nothing if it is empty."""
    words = " ".join(sentence.split())
    while len(words) > LONGEST_SENTENCE:
        space = words.rfind(" ", 0, LONGEST_SENTENCE + 1)
        end = space if space > 0 else LONGEST_SENTENCE
        yield words[:end]
        words = words[end:].strip()
    if words:
        yield words
