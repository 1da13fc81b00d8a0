"""Measures how fast a client sends sound: faster than real time is allowed in a burst only.

A network that stalls delivers what it kept in one burst, and a client's clock may be a little fast. What is
more than that is not live sound; it would only fill queues. Pure: knows seconds, no sound and no wire.
"""

BURST_SEC = 2.0
"""Sound that may come at once."""

FASTEST = 1.5
"""Sustained rate, in seconds of audio per second."""

MOST_DROPPED_SEC = 20.0
"""A client that had more than this dropped is not a live client: its connection is to be closed."""

LONG_WAIT_SEC = 2.0
KEPT_OF_WAIT_SEC = 0.08
"""After a longer wait than the first, what comes at once was said before anybody listened. It would delay
what is said now, so only this much of it may pass."""


class TokenBucket:
    """One client's meter. The clock is the caller's: any that never goes back, in seconds."""

    def __init__(self, burst_sec: float = BURST_SEC) -> None:
        self.dropped_sec = 0.0
        self.excused_sec = 0.0
        """Sound that may be dropped without blame, because the client was kept waiting."""
        self._burst_sec = self._allowed_sec = burst_sec
        self._last: float | None = None

    def allow(self, now: float, sec: float) -> bool:
        """Whether ``sec`` of sound that came ``now`` may be heard. If not, it is counted: drop it."""
        if self._last is not None:
            self._allowed_sec = min(self._burst_sec, self._allowed_sec + FASTEST * max(0.0, now - self._last))
        self._last = now
        if sec > self._allowed_sec:
            self.dropped_sec += sec
            return False
        self._allowed_sec -= sec
        return True

    def excuse(self, waited_sec: float) -> None:
        """The client was kept waiting, and may send at once what it kept meanwhile."""
        self.excused_sec = waited_sec
        if waited_sec > LONG_WAIT_SEC:
            self.excused_sec += self._allowed_sec
            self._allowed_sec = KEPT_OF_WAIT_SEC

    @property
    def too_fast(self) -> bool:
        """Whether the transport should close the connection, with words, because of what was dropped."""
        return self.dropped_sec > MOST_DROPPED_SEC + self.excused_sec
