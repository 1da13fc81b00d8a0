"""Sends answers at the pace of play-out, never ahead of it, so that no lag builds up in a transport's buffer.

Pure: given the time, it says how long to wait and when the transport has run dry.
"""

MAX_AHEAD_SEC = 0.06
"""Sound allowed on the wire, unheard, when the next frame is sent. More would be lag."""

PACKET_SEC = 0.02
MOST_SPARED_SEC = 0.06
"""The most left out of a frame; at least one packet of it is sent."""

LAG_SEC = 0.04
"""This much unheard sound is lag; less is jitter."""

DRY_AFTER_SEC = 0.04
"""How late a frame may be before silence is sent instead. Less is jitter, which every player absorbs."""


def sparable_sec(lag_sec: float) -> float:
    """How much of a quiet frame can be left out when sound lags by ``lag_sec``: whole packets, never all of
    it."""
    if lag_sec < LAG_SEC:
        return 0.0
    return min(MOST_SPARED_SEC, lag_sec // PACKET_SEC * PACKET_SEC)


class Pacer:
    """Tracks until when a transport has sound. ``catches_up_sec``: late by no more than this, the transport
    sends at once all that is due, and its player, which has buffered that much, is never told of the delay.
    """

    def __init__(self, catches_up_sec: float = 0.0) -> None:
        self._catches_up_sec = catches_up_sec
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
        whole packets: after a stall all sound is late until a pause is used to catch up."""
        return sparable_sec(waited_sec + self._sound_until - now)

    def sent(self, now: float, duration_sec: float, silence: bool = False) -> None:
        """``duration_sec`` of sound, or of silence in its place, was sent ``now``."""
        earliest = now - self._catches_up_sec if self._sound_until else now
        self._sound_until = max(self._sound_until, earliest) + duration_sec
        self._dry = silence
