"""Text of any kind as Latin letters, ASCII digits and the punctuation that a voice can follow. Pure.

Marks that are only seen (Markdown, emoji, invisible characters) are dropped. Cyrillic and Greek are
transliterated; letters of other scripts are told as ``foreign word``, since nothing here can read them.
"""

import re
import unicodedata

FOREIGN = "foreign word"

_SAME_SIGN = str.maketrans(
    {
        "‘": "'", "’": "'", "ʼ": "'", "`": "'", "´": "'", "′": "'",
        "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "″": '"',
        "–": "-", "‐": "-", "‑": "-", "‒": "-", "−": "-", "―": "—",
        "⁄": "/", "∕": "/", "×": "x", "÷": "/", "•": ", ", "·": " ", "…": "...", "。": ". ", "、": ", ",
        "，": ", ", "¿": " ", "¡": " ", "ß": "ss", "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "ø": "o",
        "Ø": "O", "ł": "w", "Ł": "W", "đ": "d", "Đ": "D", "þ": "th", "Þ": "Th", "ð": "th", "Ð": "Th",
        "ı": "i",
    }
)  # fmt: skip
_CYRILLIC = dict(
    zip(
        "абвгдеёжзийклмнопрстуфхцчшщъыьэюяіїєґў",
        "a b v g d e yo zh z i y k l m n o p r s t u f kh ts ch sh shch _ y _ e yu ya i yi ye g w".split(),
        strict=True,
    )
)
_GREEK = dict(
    zip(
        "αβγδεζηθικλμνξοπρσςτυφχψω",
        "a v g d e z i th i k l m n x o p r s s t i f ch ps o".split(),
        strict=True,
    )
)
_TRANSLITERATED = {letter: sound.replace("_", "") for letter, sound in (_CYRILLIC | _GREEK).items()}
_MARKDOWN = re.compile(
    r"\[([^\]\[]{1,200})\]\(([^()\s]{1,500})\)|[*_~]{2,3}|(?<!\w)[*_~]|[*_~](?!\w)"
    r"|^[ \t]{0,8}(?:#{1,6}|[-+>]) ",
    re.M,
)
_KEPT = frozenset(".,!?;:-—'\"()/%&+=@#$£€¥°<>_~*|\\^ \n")
_FOREIGN_RUN = re.compile(r"\ue000[\ue000 ]*")


def cleaned(text: str) -> str:
    """``text`` with Latin letters without accents, ASCII digits, punctuation, and single spaces."""
    text = unicodedata.normalize("NFKC", _keep_fractions(text).translate(_SAME_SIGN)).translate(_SAME_SIGN)
    text = _MARKDOWN.sub(lambda found: found[1] or "", text)
    text = _FOREIGN_RUN.sub(f" {FOREIGN} ", "".join(_latin(character) for character in text))
    text = re.sub(r"[^\S\n]+", " ", text)
    # A line that ends without punctuation, such as an item of a list, ends as a sentence does.
    text = re.sub(r"(?<=[^\s.,!?;:—-])[ ]*\n\s*", ". ", text.strip())
    return re.sub(r"\s+", " ", text)


def _keep_fractions(text: str) -> str:
    # NFKC makes "21/2" of "2½".
    return re.sub(r"(?<=\d)(?=[¼½¾⅐-⅞])", " ", text)


def _latin(character: str) -> str:
    if character.isascii():
        return character if character.isalnum() or character in _KEPT else " "
    if character in _KEPT:
        return character
    if character.isdigit() or character.isdecimal():
        return str(unicodedata.digit(character))
    small = character.lower()
    if small in _TRANSLITERATED:
        sound = _TRANSLITERATED[small]
        return sound if character == small else sound.capitalize()
    bare = unicodedata.normalize("NFKD", character)
    base = "".join(part for part in bare if part.isascii() and part.isalnum())
    if base:
        return base
    if bare[0].lower() in _TRANSLITERATED:
        return _TRANSLITERATED[bare[0].lower()]
    category = unicodedata.category(character)
    if category.startswith("L") or character.isnumeric():
        return "\ue000"
    return "" if category in ("Mn", "Mc", "Me", "Cf", "Sk", "Lm") else " "
