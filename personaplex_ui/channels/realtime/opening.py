"""When the call of a session begins: its voice and role come after connecting. Pure; times are seconds."""

AFTER_UPDATE_SEC = 1.0
"""After the last ``session.update``, or the first sound; another update may follow at once."""

AFTER_CONNECT_SEC = 10.0
"""For a client that says nothing."""


class Opening:
    def __init__(self, now: float) -> None:
        self._at = now + AFTER_CONNECT_SEC
        self._role_named = False
        self._sound_came = False

    def note_update(self, names_role: bool, now: float) -> None:
        """``names_role``: the update has instructions, so that sound after it can be heard at once."""
        self._role_named |= names_role
        self._at = now if self._role_named and self._sound_came else now + AFTER_UPDATE_SEC

    def note_sound(self, now: float) -> None:
        if not self._sound_came:
            self._at = now if self._role_named else min(self._at, now + AFTER_UPDATE_SEC)
        self._sound_came = True

    def open(self, now: float) -> None:
        """The client wants something of the call."""
        self._at = now

    def wait_sec(self, now: float) -> float:
        return max(0.0, self._at - now)
