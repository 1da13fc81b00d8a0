"""Which websockets may become calls: how many may wait for that, and what an admitted stream gets."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from personaplex_ui.calls.cues import Cues
from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.calls.settings import CallSettings
from personaplex_ui.calls.snapshot import Transport
from personaplex_ui.channels.twilio.media_stream.protocol import Dtmf, Start

MOST_NEWCOMERS = 100
MOST_NEWCOMERS_OF_ONE = 10


def tell_nobody(call: LiveCall) -> None:
    pass


def no_key_does_anything(call: LiveCall, key: Dtmf) -> None:
    pass


@dataclass(frozen=True, slots=True)
class PhoneGrant:
    """What an admitted stream gets. ``owner``: the key with which the recording can be fetched, if any.
    ``on_call`` is called with the call once it is open; ``on_key`` with each key that the caller presses.
    ``cues``: those of its persona; None for the server's."""

    settings: CallSettings
    transport: Transport
    owner: str = ""
    on_call: Callable[[LiveCall], None] = tell_nobody
    on_key: Callable[[LiveCall, Dtmf], None] = no_key_does_anything
    cues: Cues | None = None


Admit = Callable[[Start], PhoneGrant]
"""Returns a stream's grant, or raises PersonaplexError if the token or the parameters are wrong."""


class Lobby:
    """Counts the connections of one app that have not begun a call; each may wait for only 10 s. One known
    address may have only a few of them, so that nobody can shut out all telephones."""

    def __init__(self, most: int = MOST_NEWCOMERS) -> None:
        self._most = most
        self._from: Counter[str] = Counter()

    @property
    def newcomers(self) -> int:
        return self._from.total()

    def enter(self, address: str) -> bool:
        """Whether there is room for one more; if so, call ``leave`` later."""
        if self.newcomers >= self._most or (address and self._from[address] >= MOST_NEWCOMERS_OF_ONE):
            return False
        self._from[address] += 1
        return True

    def leave(self, address: str) -> None:
        self._from[address] -= 1
        if not self._from[address]:
            del self._from[address]
