"""What abbreviations and signs between words stand for. Pure."""

import re
from collections.abc import Callable

from personaplex_ui.speech.synthesis.numbers import cardinal

_BEFORE_NAMES = {
    "Mr": "mister", "Mrs": "missis", "Ms": "miz", "Dr": "doctor", "Prof": "professor", "St": "saint",
    "Mt": "mount", "Ft": "fort", "Gen": "general", "Capt": "captain", "Lt": "lieutenant", "Sgt": "sergeant",
    "Rev": "reverend", "Hon": "honorable", "Gov": "governor", "Sen": "senator", "Rep": "representative",
}  # fmt: skip
_AFTER_NAMES = {
    "St": "street", "Ave": "avenue", "Blvd": "boulevard", "Rd": "road", "Dr": "drive", "Ln": "lane",
    "Ct": "court",
    "Pl": "place", "Sq": "square", "Hwy": "highway", "Pkwy": "parkway", "Jr": "junior", "Sr": "senior",
    "Inc": "incorporated", "Ltd": "limited", "Co": "company", "Corp": "corporation", "Bros": "brothers",
    "Apt": "apartment", "Ste": "suite",
}  # fmt: skip
_ALWAYS = {
    "etc.": "et cetera", "e.g.": "for example", "i.e.": "that is", "vs.": "versus", "vs": "versus",
    "approx.": "approximately", "dept.": "department", "Dept.": "department", "est.": "established",
    "incl.": "including", "excl.": "excluding", "tel.": "telephone",
    "Tel.": "telephone", "ext.": "extension", "Ext.": "extension", "appt.": "appointment",
    "a.k.a.": "also known as",
    "w/o": "without", "w/": "with ", "c/o": "care of", "and/or": "and or", "b/c": "because",
    "24/7": "twenty four seven",
    "n/a": "N.A", "N/A": "N.A", "RSVP": "R.S.V.P", "ASAP": "A.S.A.P", "o'clock": "o'clock", "Mt.": "mount",
    "Apt.": "apartment",
    "apt.": "apartment", "Ste.": "suite", "Blvd.": "boulevard", "Ave.": "avenue", "Rd.": "road",
}  # fmt: skip
_DAYS = {
    "Mon": "Monday", "Tue": "Tuesday", "Tues": "Tuesday", "Wed": "Wednesday", "Thu": "Thursday",
    "Thur": "Thursday", "Thurs": "Thursday", "Fri": "Friday", "Sat": "Saturday", "Sun": "Sunday",
}  # fmt: skip
_DAY = "|".join(sorted(_DAYS, key=len, reverse=True))
_FULL_DAY = "|".join(sorted(set(_DAYS.values())))
_ROMAN = {"II": 2, "III": 3, "IV": 4, "VI": 6, "VII": 7, "VIII": 8, "IX": 9, "XI": 11, "XII": 12, "XIV": 14}
_MONTHS = {
    "Jan": "January", "Feb": "February", "Apr": "April", "Aug": "August", "Sept": "September",
    "Sep": "September",
    "Oct": "October", "Nov": "November", "Dec": "December",
}  # fmt: skip

Rule = tuple[re.Pattern[str], Callable[[re.Match[str]], str]]


def _word(word: str) -> Callable[[re.Match[str]], str]:
    return lambda found: word


def _titled(words: dict[str, str]) -> str:
    return "|".join(sorted(words, key=len, reverse=True))


def _after_name(found: re.Match[str]) -> str:
    """A full stop at the end of the text ends the sentence too."""
    ends = found[0].endswith(".") and not found.string[found.end() :].strip()
    return _AFTER_NAMES[found[1]] + ("." if ends else "")


BEFORE_NUMBERS: tuple[Rule, ...] = (
    (re.compile(rf"(?<![\w.])({'|'.join(sorted(map(re.escape, _ALWAYS), key=len, reverse=True))})(?![\w])"),
     lambda found: _ALWAYS[found[1]]),
    (re.compile(rf"\b({_DAY})\.? ?- ?({_DAY}|{_FULL_DAY})\b\.?(?! ?-)"),
     lambda found: f"{_DAYS[found[1]]} to {_DAYS.get(found[2], found[2])}"),
    (re.compile(rf"\b({_FULL_DAY}) ?- ?({_FULL_DAY})\b"), lambda found: f"{found[1]} to {found[2]}"),
    (re.compile(r"\b(Mon|Tues?|Wed|Thu(?:rs?)?|Fri)\b\.?(?=[ ,]|$)|\b(Sat|Sun)\."),
     lambda found: _DAYS[found[1] or found[2]]),
    (re.compile(rf"(?<![\w.])({_titled(_BEFORE_NAMES)})\.(?= [A-Z])"), lambda found: _BEFORE_NAMES[found[1]]),
    (re.compile(r"(?<![\w.])(Mr|Mrs|Ms|Dr|Prof)(?= [A-Z])"), lambda found: _BEFORE_NAMES[found[1]]),
    (re.compile(rf"(?<=[a-z\d] )({_titled(_AFTER_NAMES)})\b\.?(?=[ ,.!?;:]|$)"),
     _after_name),
    (re.compile(rf"(?<=[A-Z][a-z] )({'|'.join(_ROMAN)})\b|(?<=[a-z] )({'|'.join(_ROMAN)})\b"),
     lambda found: cardinal(_ROMAN[found[1] or found[2]])),
    (re.compile(r"(?<![\w.])(?:[Nn]o\.|#|№) ?(?=\d)"), _word("number ")),
    (re.compile(rf"\b({_titled(_MONTHS)})\.(?= |,|$)"), lambda found: _MONTHS[found[1]]),
)  # fmt: skip

AFTER_NUMBERS: tuple[Rule, ...] = (
    (re.compile(r" ?& ?"), _word(" and ")),
    (re.compile(r" ?\+ ?(?=[A-Za-z])"), _word(" plus ")),
    (re.compile(r"(?<=[A-Za-z])\+"), _word(" plus ")),
    (re.compile(r" ?= ?"), _word(" equals ")),
    (re.compile(r" ?@ ?"), _word(" at ")),
    (re.compile(r" ?% ?"), _word(" percent ")),
    (re.compile(r"\$"), _word(" dollars ")),
    (re.compile(r"£"), _word(" pounds ")),
    (re.compile(r"€"), _word(" euros ")),
    (re.compile(r"¥"), _word(" yen ")),
    (re.compile(r"°"), _word(" degrees ")),
    (re.compile(r"(?<=[A-Za-z])/(?=[A-Za-z])"), _word(" slash ")),
    (re.compile(r"#(?=[A-Za-z])"), _word(" hashtag ")),
)
