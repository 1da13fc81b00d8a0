"""The call of a session, as far as the session may use it: what a connection does for it."""

from collections.abc import Sequence
from typing import Protocol

from personaplex_ui.channels.realtime.items import Json
from personaplex_ui.engine.speech_model import Sampling


class Line(Protocol):
    """The call of a session, as far as it may be used from here. Nothing waits."""

    @property
    def is_open(self) -> bool:
        """Whether the call has begun and waits for no line any more, so that its persona is settled."""
        ...

    @property
    def can_call_functions(self) -> bool: ...

    def note_update(self, names_role: bool) -> None:
        """The session was updated. ``names_role``: it has instructions."""
        ...

    def note_sound(self) -> None:
        """The client sends sound."""
        ...

    def open(self) -> None:
        """Begin the call, unless it has begun."""
        ...

    def say(self, text: str, cause: str) -> None:
        """Have ``text`` said word for word. ``cause``: the id of the event that wants it."""
        ...

    def read(self, text: str, cause: str) -> None:
        """Have what the caller wrote answered."""
        ...

    def fall_silent(self) -> None: ...

    def change_sampling(self, sampling: Sampling) -> None: ...

    def offer_tools(self, tools: Sequence[Json]) -> None: ...

    def take_result(self, call_id: str, output: str) -> None: ...
