"""Which of Kokoro's voices stands in for a voice of the catalogue. Pure.

These are other voices than NVIDIA's: of the same sex, each name its own, always the same one.
"""

import re
import zlib

from personaplex_ui.voices.names import canonical_voice_name

FEMALE = (
    "af_heart", "af_bella", "af_sarah", "af_aoede", "af_kore", "af_nova", "af_alloy", "af_jessica",
    "af_river",
)  # fmt: skip
MALE = (
    "am_michael", "am_fenrir", "am_puck", "am_eric", "am_liam", "am_echo", "am_onyx", "am_adam", "bm_george",
)  # fmt: skip
ALL_VOICES = (*FEMALE, *MALE)

_CATALOGUE = re.compile(r"(NAT|VAR)([FM])(\d)")
_NATURAL = 4
"""The catalogue has 4 natural voices of each sex, and 5 of more character."""


def kokoro_voice(name: str) -> str:
    """Kokoro's voice for ``name``, which may be one of its own; an unknown name always gets the same one."""
    name = canonical_voice_name(name)
    if name in ALL_VOICES:
        return name
    found = _CATALOGUE.fullmatch(name)
    if found is None:
        return ALL_VOICES[zlib.crc32(name.encode("utf-8", "surrogatepass")) % len(ALL_VOICES)]
    voices = FEMALE if found[2] == "F" else MALE
    return voices[(int(found[3]) + (_NATURAL if found[1] == "VAR" else 0)) % len(voices)]


def is_male(name: str) -> bool:
    """Whether ``kokoro_voice`` has a man speak for ``name``."""
    return kokoro_voice(name) in MALE
