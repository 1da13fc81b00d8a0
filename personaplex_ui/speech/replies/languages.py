"""Whether a caller speaks something else than English, by script and by small words. Pure."""

import re
import unicodedata

_ENGLISH_WORDS = """
the a an is are am was were do does did you i my your it this that what when where how much who
which can could would have has and or of to in on at for with not no yes please we they there
"""
_ENGLISH = frozenset(_ENGLISH_WORDS.split())
_OTHERS_WORDS = """
der die das und ist sind wie viel wann wo haben sie ich ein eine nicht bitte kostet guten danke
heute für auf le la les des une est sont combien quand où avez vous je pas merci bonjour pour avec
quel quelle puis coûte el los las una es son cuánto cuanto cuándo cuando dónde donde tiene usted yo
por favor gracias hola para qué que il lo gli uno quanto quando dove avete che grazie buongiorno per
con costa sono o os um uma quanto onde você tem obrigado olá het een hoeveel waar wanneer hebben ik
niet alstublieft jest ile kiedy gdzie proszę czy nie dzień dobry
"""
_OTHERS = frozenset(_OTHERS_WORDS.split()) - _ENGLISH


def is_other_language(text: str) -> bool:
    """Whether most of ``text`` is in another language; short or mixed sentences count as English."""
    letters = [character for character in text if character.isalpha()]
    foreign = sum(not unicodedata.name(letter, "").startswith("LATIN") for letter in letters)
    if letters and foreign * 2 > len(letters):
        return True
    words = re.findall(r"[^\W\d_]+", text.lower())
    english = sum(word in _ENGLISH for word in words)
    others = sum(word in _OTHERS for word in words)
    return others >= 2 and others > english
