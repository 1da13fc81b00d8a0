"""Voice names: their canonical form, and which names a file may have. Pure.

A name appears in URLs, pages, XML and logs, and is compared with what callers type. It never becomes a path.
"""

import re
import unicodedata

LONGEST_NAME = 64
FORBIDDEN_SIGNS = frozenset("/\\<>")
"""Characters with a meaning in paths and tags."""

JOINERS = "\u200c\u200d"
"""Zero-width joiners, which Hindi, Persian and emoji need; names may not contain other invisible
characters."""

FORBIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_SPACE = re.compile(r"[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")


def canonical_voice_name(name: str) -> str:
    """The canonical form of a name: ``NATF2`` for ``NATF2.pt``, which older clients send; composed letters
    (NFC), because macOS decomposes them; plain spaces."""
    composed = unicodedata.normalize("NFC", name)
    return _SPACE.sub(" ", composed).strip().removesuffix(".pt").strip()


def trouble_with_name(name: str) -> str:
    """Why no voice can have this canonical name, such as ``its name is empty``; empty if one can."""
    if not name:
        return "its name is empty"
    if len(name) > LONGEST_NAME:
        return f"its name has {len(name)} characters, and at most {LONGEST_NAME} are allowed"
    if name[0] == ".":
        return "its name begins with a dot"
    for character in name:
        forbidden = unicodedata.category(character) in FORBIDDEN_CATEGORIES and character not in JOINERS
        if forbidden or character in FORBIDDEN_SIGNS:
            shown = f" ({character})" if character in FORBIDDEN_SIGNS else ""
            return f"its name contains the character U+{ord(character):04X}{shown}"
    return ""
