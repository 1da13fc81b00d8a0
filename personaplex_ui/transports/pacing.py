"""Sends answers at the pace they are heard, never ahead of it, so that no lag hides behind a wire's buffer.

Pure: told the time, it says how long to wait and when a wire has run dry.
"""

MAX_AHEAD_SEC = 0.06
"""So much sound may lie on the wire unheard when the next frame is sent; more would be lag."""

DRY_AFTER_SEC = 0.04
"""So late a frame may come before silence is sent instead. Less is jitter that every player absorbs."""


class Pacer:
    """Keeps count of the moment until which a wire has sound."""

    def __init__(self) -> None:
        self._sound_until = 0.0
        self._dry = True

    def wait_sec(self, now: float) -> float:
        """How long to hold back the next frame."""
        return max(0.0, self._sound_until - MAX_AHEAD_SEC - now)

    def dry_in_sec(self, now: float) -> float:
        """How long to wait for a frame before silence should be sent in its place."""
        patience = 0.0 if self._dry else DRY_AFTER_SEC
        return max(0.0, self._sound_until + patience - now)

    def sent(self, now: float, duration_sec: float, silence: bool = False) -> None:
        """``duration_sec`` of sound, or of silence in its place, went out ``now``."""
        self._sound_until = max(self._sound_until, now) + duration_sec
        self._dry = silence
