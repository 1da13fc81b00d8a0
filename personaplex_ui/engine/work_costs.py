"""What the model's work takes, in seconds: running means, by which the scheduler judges what fits.

Pure: durations and times go in. It starts from what was measured when the model was loaded.
"""

from personaplex_ui.engine.speech_model import StepCosts

MEMORY = 0.8
"""Weight of the past in a running mean."""

MEMORY_OF_SHORTER = 0.5
"""The same where a chunk took longer than before: live callers pay for the next one if that does too."""

FORGOTTEN_AFTER_SEC = 5.0
"""A mean that has not been renewed for so long may be of one slow moment. What it says does not fit is not
tried, so nothing else would ever correct it."""


def _mean(past: float, sec: float, memory: float = MEMORY) -> float:
    return memory * past + (1 - memory) * sec if past else sec


class ChunkCost:
    """What a chunk takes. ``start_sec``: as measured at loading; 0 if unknown."""

    def __init__(self, start_sec: float) -> None:
        self._mean_sec = self._usual_sec = start_sec
        self._known = start_sec > 0
        self._renewed_at = 0.0

    def add(self, sec: float, now: float) -> None:
        self._mean_sec = _mean(self._mean_sec, sec, MEMORY_OF_SHORTER if sec > self._mean_sec else MEMORY)
        self._renewed_at = now
        if not self._known:
            self._usual_sec = min(self._usual_sec or sec, sec)

    def estimate_sec(self, now: float) -> float:
        """The running mean. If it is old: what was measured at loading, or the least that was measured
        since."""
        if now - self._renewed_at > FORGOTTEN_AFTER_SEC:
            return min(self._mean_sec, self._usual_sec)
        return self._mean_sec


class WorkCosts:
    """``slots``: how many callers the model can hold, with whom ``start.step_sec`` was measured."""

    def __init__(self, start: StepCosts | None = None, slots: int = 0) -> None:
        start = start or StepCosts()
        self._steps: dict[int, float] = {slots: start.step_sec} if start.step_sec else {}
        self.ride = ChunkCost(start.ride_sec)
        self.chunk = ChunkCost(start.chunk_sec)
        self.voice = ChunkCost(start.voice_sec)

    def step_sec(self, callers: int) -> float:
        """What a step with ``callers`` taken slots takes: as measured with as many, or else with the next
        larger number, or else with the largest."""
        if not self._steps:
            return 0.0
        larger = [count for count in self._steps if count >= callers]
        return self._steps[min(larger) if larger else max(self._steps)]

    def stepped(self, callers: int, sec: float) -> None:
        """A step without a chunk took ``sec``."""
        self._steps[callers] = _mean(self._steps.get(callers, 0.0), sec)

    def rode(self, callers: int, sec: float, now: float) -> None:
        """A step with a chunk took ``sec`` in all."""
        if callers in self._steps:
            self.ride.add(max(0.0, sec - self._steps[callers]), now)
        else:
            self.stepped(callers, max(0.0, sec - self.ride.estimate_sec(now)))
