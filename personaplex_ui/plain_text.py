"""Text that people give: one kind of line break, and what cannot stand in a text, by its number. Pure."""

import re
import unicodedata

LINE_BREAK = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")
"""Of other systems; U+000B comes from PowerPoint, U+000C from a page's end, U+0085 from mainframes."""

NOT_IN_XML = re.compile("[\ufffe\uffff]")
MOST_NAMED = 3


def with_line_breaks(text: str) -> str:
    """``text`` with ``\\n`` for every line break."""
    return LINE_BREAK.sub("\n", text)


def unusable_characters(text: str) -> str:
    """Control characters and halves of surrogate pairs in ``text``, as in ``U+0000, U+001B``; empty: none.

    Characters that are unassigned, since they are younger than our Unicode, or private, as a font's bullets,
    can be used.
    """
    found = sorted({c for c in text if unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t"})
    names = ", ".join(f"U+{ord(character):04X}" for character in found[:MOST_NAMED])
    return f"{names} and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else names


def fit_for_xml(text: str) -> str:
    """``text`` with U+FFFD for the two code points that XML does not allow."""
    return NOT_IN_XML.sub("\ufffd", text)
