"""When the engine ticks: once per frame of 80 ms, as soon as the frames of all callers are complete.

Each caller's frames complete every 80 ms with a phase of their own. The clock expects the next complete set
at ``expected``, waits a little longer for late frames, and follows the callers slowly, since sound card
clocks drift. Pure arithmetic on times in seconds; it never reads a clock.
"""

import math

from personaplex_ui.audio.frames import FRAME_SEC, SAMPLE_RATE_HZ

JITTER_SEC = 0.012
"""How early a complete set may be stepped, and how long a tick waits for a late caller."""

SLEW_SEC = 0.002
"""The most that ``expected`` moves per tick. 2 ms in 80 is far more than sound cards drift."""


class TickClock:
    def __init__(self) -> None:
        self._expected: float | None = None

    @property
    def running(self) -> bool:
        return self._expected is not None

    def stop(self) -> None:
        """Stop while nobody is live; the next caller's first frame starts the clock again."""
        self._expected = None

    def start(self, now: float) -> None:
        """Start with a first frame, complete ``now``, which need not wait."""
        if self._expected is None:
            self._expected = now

    @property
    def expected(self) -> float:
        """When the frames of all callers should be there."""
        assert self._expected is not None
        return self._expected

    @property
    def earliest(self) -> float:
        """From then on a tick may happen if the frames of all callers are there."""
        return self.expected - JITTER_SEC

    @property
    def due(self) -> float:
        """From then on a tick waits for nobody."""
        return self.expected + JITTER_SEC

    @property
    def stalled_at(self) -> float:
        """From then on, with no frame at all, nobody knows when the next one comes."""
        return self.expected + FRAME_SEC

    def has_just_ticked(self, now: float) -> bool:
        """Whether a frame that completes ``now`` belongs to the last tick rather than to the next one."""
        return self.expected - now > FRAME_SEC / 2

    def ticked(self, now: float, complete: bool) -> None:
        """Record that a tick began ``now``; ``complete`` tells whether every caller had a frame in it.

        Missed ticks are skipped; nobody is served twice to make up for them.
        """
        assert self._expected is not None
        late = max(-SLEW_SEC, min(SLEW_SEC, now - self._expected)) if complete else 0.0
        self._expected += FRAME_SEC + late
        missed = math.floor((now - self.due) / FRAME_SEC) + 1
        if missed > 0:
            self._expected += missed * FRAME_SEC

    def samples_to_skip(self, now: float, chunk_samples: int) -> int | None:
        """How far to delay a new caller's first frame so that its frames complete just before a tick.

        The caller's sound arrives in chunks of ``chunk_samples``, the last one ``now``; the answer counts
        samples after that chunk and is a multiple of the chunk, under one frame. None: any moment is fine,
        since nobody else is live.
        """
        if self._expected is None:
            return None
        ahead_sec = (self._expected - JITTER_SEC / 2 - now) % FRAME_SEC
        return int(ahead_sec * SAMPLE_RATE_HZ / chunk_samples) * chunk_samples
