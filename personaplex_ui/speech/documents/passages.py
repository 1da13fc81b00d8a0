"""Cuts a document into passages that can be read by themselves. Pure."""

import re
from collections.abc import Iterator

LONGEST_PASSAGE = 700
"""Characters."""

_HEADING = re.compile(r"\s{0,3}#{1,6}\s+(.*)")


def passages_of(text: str) -> Iterator[str]:
    """The passages of ``text``, each of at most LONGEST_PASSAGE characters: paragraphs that stand together,
    cut at the ends of lines or of sentences. One under a Markdown heading begins with that heading."""
    heading, collected = "", ""
    for paragraph in re.split(r"\n[ \t]*\n|\n(?=\s{0,3}#{1,6}\s)", text.replace("\r\n", "\n")):
        title = _HEADING.match(paragraph)
        if title is not None or len(collected) + len(paragraph) > LONGEST_PASSAGE:
            yield from _under(heading, collected)
            collected = ""
        if title is not None:
            heading = title[1].strip(" #")
            paragraph = paragraph[title.end() :]
        collected += f"\n{paragraph}"
    yield from _under(heading, collected)


def _under(heading: str, text: str) -> Iterator[str]:
    top = f"{heading[:100]}:\n" if heading else ""
    for piece in _short_enough(text.strip(), LONGEST_PASSAGE - len(top)):
        yield f"{top}{piece}"


def _short_enough(text: str, longest: int) -> Iterator[str]:
    while len(text) > longest:
        places = (text.rfind(end, longest // 2, longest) for end in ("\n", ". ", " "))
        cut = next((place + 1 for place in places if place >= 0), longest)
        yield text[:cut].strip()
        text = text[cut:].strip()
    if text:
        yield text
