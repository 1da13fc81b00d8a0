"""The assistant's own name, by which a caller speaks to it: "Alex, when do you open?" asks nothing of Alex.

Pure."""

import re

_ASKS = (
    r"(?:when|what|where|who|which|why|how|do|does|did|is|are|was|can|could|may|will|would|should|have|has|"
    r"i|we|please|tell)\b"
)
_ASKED = re.compile(rf"^{_ASKS}", re.IGNORECASE)
_GREETED = r"(?:hi|hello|hey|ok|okay|well|yes|no|so|thanks|thank you|please|and|sorry|excuse me)"
_MISHEARD_WORDS = 2
"""Before the name, as recognisers make them of a greeting: "The low Alex, when do you open?"."""


def without_address(said: str, name: str) -> str:
    """``said`` without the assistant's ``name`` where it is only spoken to; all of it if nothing else is
    left."""
    for each in dict.fromkeys((name, name.split(" ")[0])) if name else ():
        called = re.escape(each)
        shorter = _begun(said, called) or re.sub(rf"\s*,\s*{called}(?=\W*$)", "", said, flags=re.IGNORECASE)
        if shorter != said and re.search(r"\w", shorter):
            return shorter
    return said


def _begun(said: str, called: str) -> str | None:
    found = re.match(
        rf"\W*((?:[\w']+\W+){{0,{_MISHEARD_WORDS}}}){called}\b(\s*[,.!:;-]+)?\s*(?={_ASKS})",
        said,
        re.IGNORECASE,
    )
    if found is None:
        return None
    before, mark = found[1].strip(" ,."), found[2]
    greeted = re.fullmatch(rf"(?:{_GREETED}\W*)*", before, re.IGNORECASE) is not None
    if not greeted and (mark is None or any(_ASKED.match(word) for word in before.split())):
        return None
    return said[found.end() :]
