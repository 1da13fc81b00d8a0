"""Spreads sound that arrives in long pieces over its duration, so that none of it is dropped.

A client chooses how much sound to put into one Ogg page, which delays the call by as much. The engine's queue
is designed for live sound in short pieces: half a second at once would overflow it. Short pieces pass at
once.

Lag is the sound still held here when the next piece arrives. For pieces of any length it is zero while they
arrive in time. After a stall it would stay, so it is cut back. Pure: the caller passes the time in seconds.
"""

from collections import deque

import numpy as np

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples

PASSES_SEC = 0.32
"""How far ahead of real time sound may be before it is held. The engine's queue takes half as much again."""

CHUNK_SAMPLES = 480
"""20 ms, the pieces in which held sound is handed on."""

AHEAD_SEC = 0.04
"""How far ahead of real time held sound is handed on, so that a late timer causes no gap."""

SMALL_LAG_SEC = 0.16
SMALL_LAG_PATIENCE_SEC = 6.0
"""Lag below the first is normal jitter. Lag that stays above it for the second is cut back."""

LARGE_LAG_SEC = 0.24
LARGE_LAG_OF_PIECE = 0.5
LARGE_LAG_PATIENCE_SEC = 0.48
"""Lag above the larger of the two (the second is in lengths of a piece) is a stall, and is cut back soon."""

BURST_SEC = 0.04
"""A burst is complete after this. What lags in the middle of it says nothing of what will stay."""

KEPT_SEC = 0.08
"""The lag that remains after a cut."""

MOST_SEC = 5.0
"""The most held: two pieces of 2 s, if the first was late, and some room. Beyond it the oldest is dropped."""

NOTHING: Samples = np.zeros(0, dtype=np.float32)


class Lag:
    """The least lag since it exceeded the limit, once that has lasted for ``patience_sec``."""

    def __init__(self, patience_sec: float) -> None:
        self._patience_sec = patience_sec
        self._since: float | None = None
        self._least_sec = 0.0

    def cut(self, lag_sec: float, tolerated_sec: float, now: float) -> float:
        """The part of the lag that persists; 0 while unknown or tolerated."""
        if lag_sec <= tolerated_sec:
            self.forget()
            return 0.0
        if self._since is None:
            self._since = now
        is_burst = now - self._since < BURST_SEC
        self._least_sec = lag_sec if is_burst else min(self._least_sec, lag_sec)
        return self._least_sec if now - self._since >= self._patience_sec else 0.0

    def forget(self) -> None:
        self._since = None


class PacedInput:
    """The sound of one client on its way to its call."""

    def __init__(self) -> None:
        self.dropped_samples = 0
        self._held: deque[Samples] = deque()
        self._held_samples = 0
        self._lasts_until = 0.0
        self._small = Lag(SMALL_LAG_PATIENCE_SEC)
        self._large = Lag(LARGE_LAG_PATIENCE_SEC)

    def put(self, samples: Samples, now: float) -> Samples:
        """Add a piece; returns the sound to be heard at once."""
        length_sec = len(samples) / SAMPLE_RATE_HZ
        self._watch_lag(length_sec, now)
        if not self._held and self._ahead_sec(now) + length_sec <= PASSES_SEC:
            return self._hand_on(samples, now)
        self._held.extend(
            samples[start : start + CHUNK_SAMPLES] for start in range(0, len(samples), CHUNK_SAMPLES)
        )
        self._held_samples += len(samples)
        self._drop(self._held_samples - round(MOST_SEC * SAMPLE_RATE_HZ))
        return self.take(now)

    def take(self, now: float) -> Samples:
        """The held sound that is due by now."""
        due: list[Samples] = []
        while self._held and self._wait_sec(now) <= 0.0:
            due.append(self._hand_on(self._pop(), now))
        return np.concatenate(due) if due else NOTHING

    def wait_sec(self, now: float) -> float | None:
        """How long until ``take`` has something; None while nothing is held."""
        return self._wait_sec(now) if self._held else None

    def _wait_sec(self, now: float) -> float:
        return max(0.0, self._ahead_sec(now) + CHUNK_SAMPLES / SAMPLE_RATE_HZ - AHEAD_SEC)

    def _ahead_sec(self, now: float) -> float:
        return max(0.0, self._lasts_until - now)

    def _hand_on(self, samples: Samples, now: float) -> Samples:
        self._lasts_until = max(self._lasts_until, now) + len(samples) / SAMPLE_RATE_HZ
        return samples

    def _pop(self) -> Samples:
        samples = self._held.popleft()
        self._held_samples -= len(samples)
        return samples

    def _drop(self, samples: int) -> None:
        """Drop this many of the oldest held samples, in whole chunks."""
        while samples > 0 and self._held:
            dropped = len(self._pop())
            self.dropped_samples += dropped
            samples -= dropped

    def _watch_lag(self, piece_sec: float, now: float) -> None:
        lag_sec = self._ahead_sec(now) + self._held_samples / SAMPLE_RATE_HZ
        cuts = (
            self._small.cut(lag_sec, SMALL_LAG_SEC, now),
            self._large.cut(lag_sec, max(LARGE_LAG_SEC, LARGE_LAG_OF_PIECE * piece_sec), now),
        )
        if not any(cuts):
            return
        self._small.forget()
        self._large.forget()
        if self._held:
            self._drop(round((max(cuts) - KEPT_SEC) * SAMPLE_RATE_HZ))
        else:  # it is in the engine's queue, which has cut it back by now
            self._lasts_until = now + KEPT_SEC
