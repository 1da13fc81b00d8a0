"""Kokoro's numbers for phonemes, and how a long text is cut for it. Pure.

Source: ``config.json`` of hexgrad/Kokoro-82M (Apache-2.0).
"""

import re

MOST_TOKENS = 510
"""Without the zero at both ends."""

_FIRST_AT = {
    1: ';:,.!?', 9: '—…"()“” ', 24: "A", 25: "I", 31: "O", 33: "Q", 35: "ST", 39: "W", 41: "Yᵊabcdef",
    50: "hijklmnopqrstuvwxyz"
    "ɑɐɒæ", 75: "βɔɕç", 80: "ɖðʤə", 85: "ɚɛɜ", 90: "ɟ", 92: "ɡ", 99: "ɥ", 101: "ɨɪʝ", 110: "ɯɰŋɳɲɴø",
    118: "ɸθœ",
    123: "ɹ", 125: "ɾɻ", 128: "ʁ", 130: "ʂʃʈʧ", 135: "ʊʋ", 138: "ʌɣɤ", 142: "χʎ", 147: "ʒʔ", 156: "ˈˌː",
    177: "ᵻ",
}  # fmt: skip
TOKENS = {phoneme: first + at for first, run in _FIRST_AT.items() for at, phoneme in enumerate(run)}

_CUTS = (re.compile(r"[.!?…]"), re.compile(r"[;:,—]"), re.compile(" "))
"""Where to cut, the best first: after a sentence, a clause, a word."""


def tokens_of(phonemes: str) -> list[int]:
    """The numbers of ``phonemes``; what Kokoro does not know is left out."""
    return [TOKENS[phoneme] for phoneme in phonemes if phoneme in TOKENS]


def cut_to_fit(phonemes: str, most: int = MOST_TOKENS) -> list[str]:
    """``phonemes`` in pieces of at most ``most``, as long as they can be, cut where a voice may pause."""
    pieces: list[str] = []
    while len(phonemes) > most:
        at = _place_to_cut(phonemes, most)
        pieces.append(phonemes[:at].strip())
        phonemes = phonemes[at:].strip()
    pieces.append(phonemes)
    return [piece for piece in pieces if piece]


def _place_to_cut(phonemes: str, most: int) -> int:
    for cut in _CUTS:
        # In the second half, so that no piece is very short.
        places = [found.end() for found in cut.finditer(phonemes, most // 2, most)]
        if places:
            return places[-1]
    return most
