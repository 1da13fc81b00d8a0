"""Analyses what a simulated caller hears: when an answer was heard, gaps, and missing sound.

Pure: told what arrived and when, in seconds of one monotonic clock. Depends on no transport or codec.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np

from personaplex_ui.audio.frames import Samples

LOUD = 0.04
"""As a sample. The buzz of ``speaking`` has 0.17 at its edges; what codecs smear before one has less."""

NOT_BEFORE_SEC = 0.5
"""Loud sound this soon after an utterance is not its answer: the echo waits for a pause of 0.56 s."""

ANSWER_WITHIN_SEC = 2.3
"""Then it is lost: the next utterance is near."""

PLAYER_REMEMBERS_SEC = 1.0


@dataclass(frozen=True, slots=True)
class Heard:
    """An answer: ``delay_sec`` after the last loud sample of the utterance was sent, at ``at_sec``."""

    at_sec: float
    delay_sec: float


class Listening:
    """One stream of sound.

    A packet is played as soon as it is there, but not before those sent ahead of it are over: a player that
    buffers no more than the most late packet of the last second needed. What a real player buffers on top is
    not counted.
    """

    def __init__(self) -> None:
        self.answers: list[Heard] = []
        self.lost_answers = 0
        self.longest_gap_sec = 0.0
        self._expected_since: float | None = None
        self._transits: deque[tuple[float, float]] = deque()
        self._sound_sec = 0.0
        self._first_at: float | None = None
        self._last_at = 0.0
        self._last_sec = 0.0

    @property
    def arrived(self) -> bool:
        """Anything at all, since the last ``restart``."""
        return self._first_at is not None

    @property
    def missing_sec(self) -> float:
        """Sound missing since the last ``restart``, in seconds; negative if more came than real time."""
        if self._first_at is None:
            return 0.0
        return self._last_at - self._first_at - (self._sound_sec - self._last_sec)

    def restart(self) -> None:
        """Forget what came until now."""
        self.__init__()

    def expect(self, sent_at: float) -> None:
        """The last loud sample of an utterance was sent at ``sent_at``."""
        self.give_up()
        self._expected_since = sent_at

    def give_up(self) -> None:
        """An answer that has not come by now is lost."""
        if self._expected_since is not None:
            self.lost_answers += 1
            self._expected_since = None

    def end(self, now: float) -> None:
        """It is over: what did not come by ``now`` never will."""
        self.give_up()
        if self._first_at is not None:
            self.longest_gap_sec = max(self.longest_gap_sec, now - self._last_at)

    def hear(self, arrived_at: float, samples: Samples, rate_hz: int) -> None:
        """Take one packet: mono samples ``[n]`` of any rate."""
        if self._first_at is None:
            self._first_at = arrived_at
        else:
            self.longest_gap_sec = max(self.longest_gap_sec, arrived_at - self._last_at)
        played_at = self._play(arrived_at)
        self._last_at, self._last_sec = arrived_at, len(samples) / rate_hz
        self._sound_sec += self._last_sec
        if self._expected_since is not None:
            self._look_for_answer(self._expected_since, played_at, samples, rate_hz)

    def _play(self, arrived_at: float) -> float:
        """When the packet begins to be heard."""
        transit = arrived_at - self._sound_sec
        while self._transits and self._transits[-1][1] <= transit:
            self._transits.pop()
        self._transits.append((arrived_at, transit))
        while self._transits[0][0] < arrived_at - PLAYER_REMEMBERS_SEC:
            self._transits.popleft()
        return self._sound_sec + self._transits[0][1]

    def _look_for_answer(self, since: float, played_at: float, samples: Samples, rate_hz: int) -> None:
        skipped = min(len(samples), max(0, round((since + NOT_BEFORE_SEC - played_at) * rate_hz)))
        loud = np.flatnonzero(np.abs(samples[skipped:]) > LOUD)
        if len(loud):
            delay_sec = played_at + (skipped + int(loud[0])) / rate_hz - since
            self._expected_since = None
            self.answers.append(Heard(since + delay_sec, delay_sec))
        elif played_at > since + ANSWER_WITHIN_SEC:
            self.give_up()
