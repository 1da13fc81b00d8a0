"""Where Kokoro's American phonemes carry stress: the marks stand before the vowel of their syllable. Pure."""

PRIMARY, SECONDARY = "ˈ", "ˌ"
VOWELS = frozenset("AIOWYiuæɑəɛɜɪɔʊʌᵻᵊɐ")
CONSONANTS = frozenset("bdfhjklmnpstvwzðŋɡɹɾʃʒʤʧθT")


def marked(phonemes: str, mark: str) -> str:
    """``phonemes`` with ``mark`` before the first vowel, unless something in them is stressed already."""
    if PRIMARY in phonemes or SECONDARY in phonemes:
        return phonemes
    for at, phoneme in enumerate(phonemes):
        if phoneme in VOWELS and phoneme != "ᵊ":
            return phonemes[:at] + mark + phonemes[at:]
    return phonemes


def raised(phonemes: str) -> str:
    """The strongest stress that ``phonemes`` have, or their first vowel, becomes primary."""
    if PRIMARY in phonemes:
        return phonemes
    return marked(phonemes.replace(SECONDARY, PRIMARY, 1), PRIMARY)


def lowered(phonemes: str) -> str:
    """No stress above secondary, as in the lesser part of a compound."""
    return phonemes.replace(SECONDARY, "").replace(PRIMARY, SECONDARY)


def begins_with_vowel(phonemes: str) -> bool | None:
    """Of the first sound; None where there is none."""
    for phoneme in phonemes:
        if phoneme in VOWELS:
            return True
        if phoneme in CONSONANTS:
            return False
    return None
