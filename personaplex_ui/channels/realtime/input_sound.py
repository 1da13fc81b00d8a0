"""A client's sound on its way to its call: in real time, whether it comes live, all at once or not at all.

Clients of OpenAI may append a whole file and wait for the answer; a model hears in real time. What comes too
early is held, and where nothing comes the model gets silence, so that its clock goes on. Of a backlog, pauses
are shortened until it is gone; nothing that is said is lost but what stays behind for long, as after a stall
of the network in a noisy room. Pure: the caller passes the time in seconds.
"""

from collections import deque

import numpy as np

from personaplex_ui.audio.frames import SAMPLE_RATE_HZ, Samples
from personaplex_ui.audio.levels import QUIET_DBFS, rms_dbfs

MOST_HELD_SEC = 60.0
"""More than this is refused."""

CHUNK_SAMPLES = 480
CHUNK_SEC = CHUNK_SAMPLES / SAMPLE_RATE_HZ
PASSES_SEC = 0.32
"""How far ahead of real time live sound may be before it is held."""

AHEAD_SEC = 0.04
"""How far ahead of real time held sound is handed on, so that a late timer causes no gap."""

GAP_SEC = 0.16
"""After so much time without sound there is silence; less is jitter."""

SILENCE_SEC = 0.08
BACKLOG_SEC = 0.5
PAUSE_KEPT_SEC = 0.8
"""Of a pause in a backlog of more than the first, so much is kept."""

STAYS_FOR_SEC = 10.0
STEADY_SEC = 0.3
LAG_KEPT_SEC = 0.08
"""A backlog that neither grows nor shrinks by more than the second for the first is lag; of it the third
remains."""

LIVE_RATE = 1.5
LIVE_SLACK_SEC = 1.0
LIVE_KEPT_SEC = 0.5
"""Sound before the call that came no faster than at the first, with the second to spare, came from a
microphone: of it only the third is heard. Else it is a file, and all of it is."""

NOTHING: Samples = np.zeros(0, dtype=np.float32)


class InputSound:
    """``left_out_samples``: of what was held too long, and of pauses in it."""

    def __init__(self) -> None:
        self.left_out_samples = 0
        self._held: deque[Samples] = deque()
        self._held_samples = 0
        self._live = False
        self._lasts_until = 0.0
        self._filling = False
        self._pause_sec = 0.0
        self._first_at: float | None = None
        self._first_samples = 0
        self._is_file = False
        """Whether what came before the call came too fast for a microphone, when its latest piece came."""
        self._lags: deque[tuple[float, float]] = deque()
        """When a piece came, and how much was held then."""

    @property
    def held_sec(self) -> float:
        return self._held_samples / SAMPLE_RATE_HZ

    def put(self, samples: Samples, now: float) -> bool:
        """Add a piece. False: there is no room for it."""
        if not self._live:
            return self._put_before_call(samples, now)
        if self.held_sec + len(samples) / SAMPLE_RATE_HZ > MOST_HELD_SEC:
            return False
        self._watch_lag(now)
        self._hold(samples)
        return True

    def clear(self) -> None:
        """Drop what is held."""
        self._drop(self._held_samples)

    def begin(self, now: float) -> None:
        """The call is live."""
        if not self._is_file:
            self._drop(self._held_samples - round(LIVE_KEPT_SEC * SAMPLE_RATE_HZ))
        self._live, self._lasts_until = True, now

    def take(self, now: float) -> Samples:
        """What is to be heard by now, silence where nothing came."""
        due: list[Samples] = []
        while self._held and self._wait_sec(now) <= 0.0:
            chunk = self._pop()
            if self._may_be_left_out(chunk):
                self.left_out_samples += len(chunk)
            else:
                due.append(self._hand_on(chunk, now))
        if not self._held and not due and self._wait_sec(now) <= 0.0:
            self._filling = True
            silent = round((now - self._lasts_until) * SAMPLE_RATE_HZ)
            due.append(self._hand_on(np.zeros(silent, dtype=np.float32), self._lasts_until))
        return np.concatenate(due) if due else NOTHING

    def wait_sec(self, now: float) -> float:
        """How long until ``take`` has something, if nothing comes."""
        return max(0.0, self._wait_sec(now))

    def _wait_sec(self, now: float) -> float:
        ahead_sec = max(0.0, self._lasts_until - now)
        if self._held:
            # One piece of a live stream passes as it is, a backlog in chunks.
            most = PASSES_SEC if ahead_sec + self.held_sec <= PASSES_SEC else AHEAD_SEC
            return ahead_sec + len(self._held[0]) / SAMPLE_RATE_HZ - most
        return self._lasts_until + (SILENCE_SEC if self._filling else GAP_SEC) - now

    def _hand_on(self, samples: Samples, now: float) -> Samples:
        self._lasts_until = max(self._lasts_until, now) + len(samples) / SAMPLE_RATE_HZ
        return samples

    def _may_be_left_out(self, chunk: Samples) -> bool:
        """Whether it is of a pause that is long enough in a backlog."""
        if rms_dbfs(chunk) >= QUIET_DBFS:
            self._pause_sec = 0.0
            return False
        self._pause_sec += len(chunk) / SAMPLE_RATE_HZ
        return self.held_sec > BACKLOG_SEC and self._pause_sec > PAUSE_KEPT_SEC

    # What is held ----------------------------------------------------------------------------------

    def _put_before_call(self, samples: Samples, now: float) -> bool:
        """False: it is of a file that does not fit. Of a microphone, the latest is held."""
        first_at = now if self._first_at is None else self._first_at
        came_samples = self._first_samples + len(samples)
        is_file = came_samples / SAMPLE_RATE_HZ > LIVE_RATE * (now - first_at) + LIVE_SLACK_SEC
        too_many = self._held_samples + len(samples) - round(MOST_HELD_SEC * SAMPLE_RATE_HZ)
        if is_file and too_many > 0:
            return False
        self._first_at, self._first_samples, self._is_file = first_at, came_samples, is_file
        self._hold(samples)
        self._drop(too_many)
        return True

    def _hold(self, samples: Samples) -> None:
        self._filling &= not len(samples)
        for start in range(0, len(samples), CHUNK_SAMPLES):
            self._held.append(samples[start : start + CHUNK_SAMPLES])
        self._held_samples += len(samples)

    def _pop(self) -> Samples:
        chunk = self._held.popleft()
        self._held_samples -= len(chunk)
        return chunk

    def _drop(self, samples: int) -> None:
        """Drop this many of the oldest held samples, in whole chunks."""
        while samples > 0 and self._held:
            dropped = len(self._pop())
            self.left_out_samples += dropped
            samples -= dropped

    def _watch_lag(self, now: float) -> None:
        if not self._held:
            self._lags.clear()
            return
        self._lags.append((now, self.held_sec))
        if now - self._lags[0][0] < STAYS_FOR_SEC:
            return
        held = [sec for _, sec in self._lags]
        if min(held) > BACKLOG_SEC and max(held) - min(held) < STEADY_SEC:
            self._drop(round((min(held) - LAG_KEPT_SEC) * SAMPLE_RATE_HZ))
            self._lags.clear()
        else:
            self._lags.popleft()
