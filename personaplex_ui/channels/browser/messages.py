"""What a page may send over its data channel: typed text, changed sampling, a goodbye.

Pure: strings in, frozen dataclasses out.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast

from personaplex_ui.calls.settings import check_sampling, check_spoken_text
from personaplex_ui.engine.speech_model import Sampling
from personaplex_ui.errors import ProtocolError
from personaplex_ui.sliding_window import SlidingWindow

MAX_MESSAGE_CHARACTERS = 16_384
"""A text of 2,000 characters, each of which may be escaped."""

MOST_MESSAGES = 30
WITHIN_SEC = 10.0
"""A page sends one for each text typed and each slider let go."""

TOO_MANY = "Too many messages came at once; some were ignored. Please wait a few seconds."
HANDSHAKE = "handshake"
"""FastRTC's own pages say it when the channel opens."""

FIELDS = frozenset(asdict(Sampling()))


@dataclass(frozen=True, slots=True)
class Say:
    """Make the assistant say ``text``."""

    text: str


@dataclass(frozen=True, slots=True)
class ChangeSampling:
    """``given``: values by the names of ``Sampling``'s fields, unchecked."""

    given: Mapping[str, object]

    def apply(self, sampling: Sampling) -> Sampling:
        """``sampling`` with these values. Raises InvalidInput for one that cannot be used."""
        return check_sampling(**(asdict(sampling) | dict(self.given)))


@dataclass(frozen=True, slots=True)
class Bye:
    """The caller hangs up."""


PageMessage = Say | ChangeSampling | Bye


def parse(message: object) -> PageMessage | None:
    """None for what means nothing here.

    Raises:
        ProtocolError: it is no message of a page.
        InvalidInput: its text cannot be said.
    """
    if message == HANDSHAKE:
        return None
    if not isinstance(message, str):
        raise ProtocolError("Messages must be text.")
    if len(message) > MAX_MESSAGE_CHARACTERS:
        raise ProtocolError(f"A message may have at most {MAX_MESSAGE_CHARACTERS:,} characters.")
    match _object_in(message):
        case {"type": "say", **rest}:
            return Say(check_spoken_text(rest.get("text")))
        case {"type": "sampling", **rest}:
            return ChangeSampling({name: rest[name] for name in FIELDS & rest.keys()})
        case {"type": "bye"}:
            return Bye()
        case _:
            raise ProtocolError("The types of messages are say, sampling and bye.")


def _object_in(message: str) -> dict[str, Any]:
    try:
        value = json.loads(message)
    except (ValueError, RecursionError):  # also for numbers with thousands of digits, and for deep nesting
        value = None
    if not isinstance(value, dict):
        raise ProtocolError("A message must be a JSON object.")
    return cast(dict[str, Any], value)


class MessageLimit:
    """How many messages one page may send. ``clock``: seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._window = SlidingWindow(MOST_MESSAGES, WITHIN_SEC, clock)
        self._told = False

    def admit(self) -> bool:
        """Whether the next message may be read.

        Raises:
            ProtocolError: it may not, and the page has not been told yet.
        """
        if self._window.left("") > 0:
            self._window.add("")
            self._told = False
            return True
        if not self._told:
            self._told = True
            raise ProtocolError(TOO_MANY)
        return False
