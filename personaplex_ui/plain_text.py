"""Text from users: one kind of line break, and unusable characters by number. Pure."""

import re
import unicodedata

LINE_BREAK = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")
"""Other systems' line breaks; U+000B comes from PowerPoint, U+000C from page breaks, U+0085 from
mainframes."""

NOT_IN_XML = re.compile("[\ufffe\uffff]")
MOST_NAMED = 3


def with_line_breaks(text: str) -> str:
    """``text`` with ``\\n`` for every line break."""
    return LINE_BREAK.sub("\n", text)


def unusable_characters(text: str) -> str:
    """Control characters and lone surrogates in ``text``, as in ``U+0000, U+001B``; empty if there are none.

    Unassigned characters, which may be newer than our Unicode, and private ones, such as a font's bullets,
    can be used.
    """
    found = sorted({c for c in text if unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t"})
    names = ", ".join(f"U+{ord(character):04X}" for character in found[:MOST_NAMED])
    return f"{names} and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else names


def fit_for_xml(text: str) -> str:
    """``text`` with U+FFFD in place of the two code points that XML does not allow."""
    return NOT_IN_XML.sub("\ufffd", text)
