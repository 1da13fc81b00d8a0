"""Measures how fast a client sends sound: faster than real time is allowed only in a burst.

A network that stalls delivers its backlog in one burst, and a client's clock may be slightly fast. Anything
beyond that is not live sound and would only fill queues. Pure: depends on seconds only.
"""

BURST_SEC = 2.0
"""Sound that may arrive at once."""

FASTEST = 1.5
"""Sustained rate, in seconds of audio per second."""

MOST_DROPPED_SEC = 20.0
"""A client with more dropped sound than this is not live, so its connection should be closed."""

LONG_WAIT_SEC = 2.0
KEPT_OF_WAIT_SEC = 0.08
"""After a wait longer than the first value, the burst was spoken before anybody listened. It would delay what
is said now, so only this much of it passes."""


class TokenBucket:
    """One client's meter. The caller passes the time: any monotonic clock, in seconds."""

    def __init__(self, burst_sec: float = BURST_SEC) -> None:
        self.dropped_sec = 0.0
        self.excused_sec = 0.0
        """Dropped sound that does not count against the client, because it was kept waiting."""
        self._burst_sec = self._allowed_sec = burst_sec
        self._last: float | None = None

    def allow(self, now: float, sec: float) -> bool:
        """Whether ``sec`` of sound that came ``now`` may be heard. If not, drop it; it is counted here."""
        if self._last is not None:
            self._allowed_sec = min(self._burst_sec, self._allowed_sec + FASTEST * max(0.0, now - self._last))
        self._last = now
        if sec > self._allowed_sec:
            self.dropped_sec += sec
            return False
        self._allowed_sec -= sec
        return True

    def excuse(self, waited_sec: float) -> None:
        """The client was kept waiting and may send its backlog at once."""
        self.excused_sec = waited_sec
        if waited_sec > LONG_WAIT_SEC:
            self.excused_sec += self._allowed_sec
            self._allowed_sec = KEPT_OF_WAIT_SEC

    @property
    def too_fast(self) -> bool:
        """Whether so much was dropped that the transport should close the connection with a reason."""
        return self.dropped_sec > MOST_DROPPED_SEC + self.excused_sec
