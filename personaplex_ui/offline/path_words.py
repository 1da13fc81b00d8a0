"""Paths as people are shown them. A file's name may hold any bytes: also such as are no text in UTF-8, or
that would move a terminal's cursor."""

import os
from pathlib import Path


def readable(path: str | Path) -> str:
    r"""``path`` with ``\xff`` for a byte that is not UTF-8, ``\n`` and ``\x1b`` for what cannot be
    printed."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in text)


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")
