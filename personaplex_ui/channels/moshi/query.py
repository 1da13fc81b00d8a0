"""The query that begins a call over the Moshi websocket: the settings it asks for, and the extensions.

Depends on the parameters of other servers and clients, not on messages or voices.
"""

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass

from personaplex_ui.calls.settings import MAX_SEED

OTHER_SERVERS_SEED = re.compile(r"[0-9]{1,20}")
"""Up to 2**64, reduced to the valid range of seeds."""

QUERY = {
    "voice_prompt": "voice",
    "seed": "seed",
    "text_temperature": "text_temperature",
    "text_topk": "text_top_k",
    "audio_temperature": "audio_temperature",
    "audio_topk": "audio_top_k",
}
"""URL parameters, and their names in ``calls.settings.check_settings``."""


def parse_query(query: Mapping[str, str]) -> dict[str, object]:
    """What a client requests in the URL's query (decoded, unchecked), as arguments of ``check_settings``.

    Only parameters that were given. An empty ``text_prompt`` means no role; other empty parameters count as
    not given. Unknown parameters are ignored: clients of other servers send some.
    """
    given: dict[str, object] = {
        name: value for parameter, name in QUERY.items() if (value := query.get(parameter, "").strip())
    }
    if "text_prompt" in query:
        given["text_prompt"] = query["text_prompt"]
    if "seed" not in given and (seed := _seed_for_other_servers(query)):
        given["seed"] = seed
    if _is_on(query, "greedy"):
        given["greedy"] = True
    return given


class AudioFormat(enum.StrEnum):
    """What ``Audio`` holds, both ways."""

    OPUS = "opus"
    PCM16 = "pcm16"


@dataclass(frozen=True, slots=True)
class Extensions:
    """What a client opted in to that other servers do not have.

    ``tells_state``: the state of the call (04), signs of life (06), errors (05) before the handshake too.
    ``tells_facts``: 04 carries the messages of the page's data channel instead, both ways. ``tells_words``:
    what the caller says (04), which facts tell, too. ``record``: the call is to be recorded for the visitor
    whose page this is.
    """

    tells_state: bool = False
    tells_facts: bool = False
    audio: AudioFormat = AudioFormat.OPUS
    record: bool = False
    tells_words: bool = False

    @property
    def tells_more(self) -> bool:
        """Whether the client is ready for messages before the handshake."""
        return self.tells_state or self.tells_facts


def parse_extensions(query: Mapping[str, str]) -> Extensions:
    """Whatever is not an extension of this server means nothing."""
    wants_pcm = query.get("audio", "").strip() == AudioFormat.PCM16
    return Extensions(
        tells_state=_is_on(query, "state"),
        tells_facts=_is_on(query, "facts"),
        audio=AudioFormat.PCM16 if wants_pcm else AudioFormat.OPUS,
        record=_is_on(query, "record"),
        tells_words=_is_on(query, "captions"),
    )


def _is_on(query: Mapping[str, str], name: str) -> bool:
    return query.get(name, "").strip() == "1"


def _seed_for_other_servers(query: Mapping[str, str]) -> str | None:
    """Kyutai's server has one seed for text and one for sound, and all web clients send both. Here one seed
    serves both; the text's takes precedence. Invalid seeds are ignored; NVIDIA's server ignores all of
    them."""
    for name in ("text_seed", "audio_seed"):
        value = query.get(name, "").strip()
        if OTHER_SERVERS_SEED.fullmatch(value):
            return str(int(value) % (MAX_SEED + 1))
    return None
