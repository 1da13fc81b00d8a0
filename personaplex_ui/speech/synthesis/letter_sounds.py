"""How a word that stands in no lexicon is read from its letters: names, brands, new words. Pure.

Phonemes are those of Kokoro's American voices. At each place of the word the first rule that fits wins. Words
that end like Italian, Spanish, Slavic or Japanese names (in ``a``, ``i``, ``o``, ``u``) get continental
vowels and stress on the last syllable but one.
"""

import re
from functools import cache

from personaplex_ui.speech.synthesis.stress import CONSONANTS, PRIMARY, VOWELS

LONGEST_WORD = 40
"""Letters; what is longer is no word, and only so much of it is read."""

# before/letters/after/sounds. Before and after are regular expressions, V a vowel, K a consonant.
_TABLE = """
/augh//ɔ /a/r(?!r)/ɑ /air/$/ɛɹ /air//ɛɹ /ai//A /ay//A /au//ɔ /aw//ɔ /ae//i /are/$/ɛɹ /ar/[aeiou]/ɛɹ
w/ar//ɔɹ /ar//ɑɹ /ation//Aʃən V.*/ance/$/əns V.*/age/$/ɪʤ V.*/able/$/əbᵊl /ally/$/əli V.*/al/$/ᵊl
V.*/an/$/ən K/a/$/ə
/a/$/ə /all//ɔl /alk//ɔk /alm//ɑm /ange//Anʤ /aste//Ast /a/[^aeiouywx][aeiy]/A /a/K(l|r)e/A /a//æ
/bb//b m/b/$/ /b//b
/cch/[io]/k /ck//k /cq//k ^/chr//kɹ /ch/r/k /ch/l/k /chi/s/ki /chs//ks /ch//ʧ /cc/[eiy]/ks /cc//k /cia//ʃə
/cious//ʃəs
/ce/$/s /c/[eiy]/s /c//k
/dge//ʤ /dg/[eiy]/ʤ /dd//d /d//d
/eau//O /ee//i /ear/[ln]/ɜɹ /ear/$/ɪɹ /eah//iə /ea/d$/ɛ /ea//i /ei/gh/A /eigh//A /eir//ɛɹ /ei//I /eu//u
/ew//u /ey/$/i
/ey//A /eo//iO /er/$/əɹ /er/[aeiou]/ɛɹ /er//ɜɹ V.*/ed/$/d V.*/es/$/s V.*/ence/$/əns V.*/ent/$/ənt
V.*/est/$/ɪst V.*/el/$/ᵊl
^K*/e/$/i /e/$/ V.*/e/s$/ /e/K[e]$/i V.*/ess/$/əs /e//ɛ
/ff//f /f//f
/gg//ɡ /gh/$/ [aiou]/gh/t/ /gh//ɡ ^/gn//n /gn/$/n /ge/$/ʤ /gi/[oa]/ʤ /g/[iey]/ʤ /gu/[ei]/ɡ /g//ɡ
[aeiouy]/h/K/ [aeiouy]/h/$/ [bdgjk]/h// /h//h
/igh//I /ight//It /ie/$/i /ied/$/Id /ier/$/iəɹ /ies/$/iz /ie//i /ian/$/iən /ism/$/ɪzᵊm /ia/$/iə /ia//iə
/ion/$/iən /ious/$/iəs /io//iO /ius/$/iəs /ium/$/iəm /iu//iu
/ir/[aeiou]/ɪɹ /ire/$/Iəɹ /ir//ɜɹ
/ing/$/ɪŋ ^K*/ine/$/In ^K*/ive/$/Iv /ique/$/ik /ize/$/Iz /ise/$/Iz V.*/ine/$/in V.*/ive/$/ɪv /ite/$/It
/ity/$/əɾi /ic/$/ɪk /ign/$/In
/ind/$/Ind /ild/$/Ild
/i/K[e]$/I /i/$/i /i//ɪ
/j//ʤ
^/kn//n /kk//k /kh//k /k//k
/ll//l /le/$/ᵊl /l//l
/mm//m /mb/$/m /m//m
/ng/$/ŋ /ng/[aou]/ŋɡ /nk//ŋk /nn//n /n//n
/oa//O /oo/k/ʊ /oor//ɔɹ /oo//u /ought//ɔt /ough/$/O /ould//ʊd /ous/$/əs /our//ɔɹ /ou//W /ow/$/O /ow//W
/oy//Y /oi//Y /oe//O
/or/$/ɔɹ /ore/$/ɔɹ /or//ɔɹ V.*/on/$/ən /old//Old /olk//Ok /oll//Ol /o/K[e]$/O /o/[^aeiouyx][aeiouy]/O
/o/$/O /os/$/Os /o//ɑ
^/ps//s /ph//f /pp//p /p//p
/que/$/k /qu//kw /q//k
/rrh//ɹ /rh//ɹ /rr//ɹ /r//ɹ
/ssion//ʃən /sion//ʒən /sch//ʃ /sh//ʃ /ss//s /sc/[eiy]/s /se/$/z [aeiou]/s/[aeiou]/z /sm/$/zᵊm /st/le/s
[bdgvmnlrwy]/s/$/z /sz//ʃ /s//s
/sch/[ou]/sk
/tion//ʃən /ture//ʧəɹ /tch//ʧ /th//θ /tt//t /tz//ts /ts//ts /tia//ʃə /tious//ʃəs /t//t
/ue/$/u /ui//u /uy//I /uar//uɑɹ /ur/[aeiou]/ʊɹ /ure/$/jʊɹ /ur//ɜɹ V.*/um/$/əm V.*/us/$/əs /u/K[e]$/u
/u/K[aiou]/u /u/$/u /ull//ʊl /u//ʌ
/v//v
^/wr//ɹ /wh//w /w/$/ [aeo]/w/K/ /w//w
^/x//z /x//ks
^/y/[aeiou]/j V.*/y/$/i /y/$/I /yer/$/Iəɹ /ythe/$/Ið /y/[aeiou]/j /y/K[e]$/I /y//ɪ
/zz//z /z//z
"""
_CONTINENTAL = """
/ai//I /au//W /ae//I /a/$/ə /a//ɑ /ee//i /ei//A /ey//A /eu//Y /e/$/A /er/K/ɛɹ /er/[aeiou]/ɛɹ
/e/[^aeiouy][aeiou]/A
/e//ɛ /ie//iɛ /ia//iə
/io//iO /i/$/i /i//i /oo//u /ou//u /oe//O /o/$/O /o//O /ue//wA /ua//wɑ /ui//wi /u/$/u /u//u
/gli/[aeo]/lj /gn//nj /ch//k /cch//k /cc/[ei]/ʧ /ci/[aou]/ʧ /gi/[aou]/ʤ /gh//ɡ /zz//ts /sch//sk /sci//ʃi
/cz//ʧ /rz//ʒ /sz//ʃ
/dz//dz /tt//t /ss//s /ll//l /nn//n /rr//ɹ /pp//p /bb//b /kk//k /mm//m /ff//f /dd//d /gg//ɡ /j/[aeiou]/ʤ
/w/[^aeiouy]/v
/h/$/ /y/[aeiou]/j /y//i
"""
_LIGHT_ENDINGS = ("ing", "er", "ers", "ed", "es", "ly", "ness", "less", "ful", "ment", "able", "y", "ie")
_SHIFTING = re.compile(r"(?:ʃən|ʒən|ɪk|iə|iən|iəs|əɾi|ɑləʤi|ɑɡɹəfi)z?$")
_REDUCED = {"æ": "ə", "ɑ": "ə", "ʌ": "ə", "ɛ": "ə", "A": "ə"}


def letters_sounded(word: str) -> str:
    """The phonemes of ``word`` (letters ``a`` to ``z``, apostrophes are skipped); some for every word that
    has a letter."""
    word = re.sub("[^a-z]", "", word.lower())[:LONGEST_WORD]
    if not word:
        return ""
    continental = len(word) > 4 and re.search(r"[^aeiou][aiou]$|[^aeiou]ez$", word) is not None
    sounds = _read(word, continental)
    sounds = re.sub(r"([bdfhjklmnpstvwzθŋɡɹʃʒʤʧ])\1+", r"\1", "".join(sounds))
    if not any(sound in VOWELS for sound in sounds):
        sounds = "".join(f"{sound}ə" for sound in sounds) or "ə"
    return _stressed(sounds, word, continental)


def _read(word: str, continental: bool) -> list[str]:
    sounds: list[str] = []
    at = 0
    while at < len(word):
        for before, letters, after, sound in _rules_at(word[at], continental):
            end = at + len(letters)
            if word.startswith(letters, at) and after.match(word, end) and before.search(word[:at]):
                sounds.append(sound)
                at = end
                break
        else:
            at += 1
    return sounds


@cache
def _rules_at(letter: str, continental: bool) -> list[tuple[re.Pattern[str], str, re.Pattern[str], str]]:
    rules: list[tuple[re.Pattern[str], str, re.Pattern[str], str]] = []
    for rule in (_CONTINENTAL + _TABLE if continental else _TABLE).split():
        before, letters, after, sound = rule.split("/")
        if letters.startswith(letter):
            before, after = (
                part.replace("V", "[aeiouy]").replace("K", "[^aeiouy]") for part in (before, after)
            )
            rules.append((re.compile(f"(?:{before})$"), letters, re.compile(after), sound))
    return rules


def _stressed(sounds: str, word: str, continental: bool) -> str:
    vowels = [at for at, sound in enumerate(sounds) if sound in VOWELS and sound != "ᵊ"]
    if not vowels:
        vowels = [at for at, sound in enumerate(sounds) if sound in VOWELS]
    strong = _strong_vowel(sounds, vowels, word, continental)
    if sounds[strong] in "əᵊ":
        sounds = f"{sounds[:strong]}ʌ{sounds[strong + 1 :]}"
    said = [
        _REDUCED.get(sound, sound) if at in vowels and at != strong and not _kept(sounds, at) else sound
        for at, sound in enumerate(sounds)
    ]
    return "".join([*said[:strong], PRIMARY, *said[strong:]])


def _strong_vowel(sounds: str, vowels: list[int], word: str, continental: bool) -> int:
    if len(vowels) == 1:
        return vowels[0]
    if continental:
        return vowels[-2]
    shifting = _SHIFTING.search(sounds)
    if len(vowels) > 2 and shifting:
        tail = sum(sound in VOWELS for sound in shifting[0])
        return vowels[max(0, len(vowels) - tail - 1)]
    if len(vowels) == 2 or (word.endswith(_LIGHT_ENDINGS) and len(vowels) == 3):
        return vowels[0]
    return vowels[-3]


def _kept(sounds: str, at: int) -> bool:
    """Whether an unstressed vowel keeps its sound: an ``A`` unless it stands between consonants, and
    some before r."""
    if sounds[at] == "A":
        return (
            at in (0, len(sounds) - 1)
            or sounds[at + 1] in VOWELS
            or not CONSONANTS.issuperset(sounds[at + 1 : at + 2])
        )
    return sounds[at + 1 : at + 2] == "ɹ" and sounds[at] in "ɑɛ"
