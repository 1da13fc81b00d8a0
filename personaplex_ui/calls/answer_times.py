"""How long the assistant takes to answer: from the end of the caller's speech to the start of its own.

Depends on stretches of speech only. This is the figure of a call that goes on, which cannot know yet whether
the caller had only paused; of one that has ended, the duplex report says it.
"""

from bisect import insort
from collections import deque

from personaplex_ui.audio.frames import FRAME_SEC
from personaplex_ui.audio.levels import MIN_GAP_FRAMES, Segment, Stretch

LATEST_STRETCHES = 16


def is_answer(caller: Segment, before_end_sec: float, answer: Segment) -> bool:
    """Whether ``answer`` answers ``caller``, the caller's last stretch that began before it.

    Neither side may speak in between; ``before_end_sec`` is the end of the assistant's previous stretch. An
    assistant that was already speaking when the caller stopped was interrupted, not asked.
    """
    return before_end_sec <= caller.end_sec <= answer.start_sec


class AnswerTimes:
    """The answer times of a call so far. An answer counts 0.32 s after it began, when it is certain that the
    caller had finished."""

    def __init__(self) -> None:
        self._sorted_sec: list[float] = []
        self._caller: deque[Stretch] = deque(maxlen=LATEST_STRETCHES)
        self._before_end_sec = 0.0
        self._answer: Stretch | None = None
        self._counted_start = -1

    @property
    def median_sec(self) -> float | None:
        """None without an answer."""
        times = self._sorted_sec
        return (times[(len(times) - 1) // 2] + times[len(times) // 2]) / 2 if times else None

    def caller_spoke(self, stretch: Stretch) -> None:
        """The caller's newest stretch began or grew."""
        if self._caller and self._caller[-1].start_frame == stretch.start_frame:
            self._caller.pop()
        self._caller.append(stretch)

    def assistant_spoke(self, stretch: Stretch) -> None:
        """The assistant's newest stretch began or grew."""
        if self._answer is not None and self._answer.start_frame != stretch.start_frame:
            self._before_end_sec = self._answer.segment.end_sec
        self._answer = stretch

    def advance(self, frames: int) -> None:
        """The first ``frames`` of both sides are known."""
        answer = self._answer
        if answer is None or self._counted_start == answer.start_frame:
            return
        if frames - answer.start_frame < MIN_GAP_FRAMES:
            return
        self._counted_start = answer.start_frame
        asked = next((x for x in reversed(self._caller) if x.start_frame < answer.start_frame), None)
        if asked is not None and is_answer(asked.segment, self._before_end_sec, answer.segment):
            insort(self._sorted_sec, (answer.start_frame - asked.end_frame) * FRAME_SEC)
