"""When the call of a session begins, since voice and role come after connecting; and what is settled then.

Pure; times are seconds.
"""

from personaplex_ui.channels.realtime.faults import RealtimeFault
from personaplex_ui.channels.realtime.session_config import SessionConfig

AFTER_UPDATE_SEC = 1.0
"""After the last ``session.update``, or the first sound; another update may follow at once."""

AFTER_CONNECT_SEC = 10.0
"""At the latest, so that nobody has a line kept free who only sends updates."""


class Opening:
    def __init__(self, now: float) -> None:
        self._at = self._latest = now + AFTER_CONNECT_SEC
        self._role_named = False
        self._sound_came = False

    def note_update(self, names_role: bool, now: float) -> None:
        """``names_role``: the update has instructions, so that sound after it can be heard at once."""
        self._role_named |= names_role
        wait_sec = 0.0 if self._role_named and self._sound_came else AFTER_UPDATE_SEC
        self._at = min(self._latest, now + wait_sec)

    def note_sound(self, now: float) -> None:
        if not self._sound_came:
            self._at = now if self._role_named else min(self._at, now + AFTER_UPDATE_SEC)
        self._sound_came = True

    def open(self, now: float) -> None:
        """The client wants something of the call."""
        self._at = now

    def wait_sec(self, now: float) -> float:
        return max(0.0, self._at - now)


def check_settled(old: SessionConfig, new: SessionConfig) -> None:
    """Raises RealtimeFault: something would change that a running call cannot take."""
    for field, what, param in (
        ("voice", "voice", "session.audio.output.voice"),
        ("instructions", "instructions", "session.instructions"),
    ):
        if getattr(old, field) != getattr(new, field):
            raise RealtimeFault(
                f"The {what} cannot change any more, since the call has begun. Send them in the first "
                "session.update, or connect anew.",
                f"cannot_update_{what}",
                param,
            )
    if old.sampling.seed != new.sampling.seed:
        raise RealtimeFault(
            "The seed cannot change any more, since the call has begun. Connect anew.",
            "cannot_update_seed",
            "session.extra.seed",
        )
