"""Sends answers at the pace they are heard, never ahead of it, so that no lag hides behind a wire's buffer.

Pure: told the time, it says how long to wait and when a wire has run dry.
"""

MAX_AHEAD_SEC = 0.06
"""So much sound may lie on the wire unheard when the next frame is sent; more would be lag."""

PACKET_SEC = 0.02
MOST_SPARED_SEC = 0.06
"""Of a frame: one packet of it is always sent."""

LAG_SEC = 0.04
"""Sound of that much that lies ahead is lag; less is jitter."""

DRY_AFTER_SEC = 0.04
"""So late a frame may come before silence is sent instead. Less is jitter that every player absorbs."""


def sparable_sec(lag_sec: float) -> float:
    """So much of a quiet frame can be left out when sound lags by ``lag_sec``: whole packets, never all."""
    if lag_sec < LAG_SEC:
        return 0.0
    return min(MOST_SPARED_SEC, lag_sec // PACKET_SEC * PACKET_SEC)


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

    def spare_sec(self, now: float, waited_sec: float) -> float:
        """How much of the next frame, which waited for ``waited_sec``, may be left out where it is quiet, in
        whole packets: after a stall all sound comes later, until a pause is used to win the time back."""
        return sparable_sec(waited_sec + self._sound_until - now)

    def sent(self, now: float, duration_sec: float, silence: bool = False) -> None:
        """``duration_sec`` of sound, or of silence in its place, went out ``now``."""
        self._sound_until = max(self._sound_until, now) + duration_sec
        self._dry = silence
