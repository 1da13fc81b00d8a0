"""An honest guess of how long a waiting caller still waits, from the lengths of recent calls.

``expected_wait_sec`` is pure. Clips are left out: they take seconds.
"""

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from personaplex_ui.calls.call import Call
from personaplex_ui.calls.manager import CallManager
from personaplex_ui.calls.snapshot import Phase, Snapshot

RECENT_CALLS = 50


@dataclass(frozen=True, slots=True)
class TakenLine:
    """A line in use. ``max_sec``: when its call ends at the latest; 0 means never."""

    elapsed_sec: float
    max_sec: float = 0.0


def expected_wait_sec(place: int, taken: Sequence[TakenLine], recent_sec: Sequence[float]) -> float | None:
    """How long the caller at ``place`` (from 1) waits for a line, or None if too little is known.

    ``recent_sec``: the lengths of calls that have ended. Those ahead in the queue are taken to talk for as
    long as the median of them.
    """
    if place < 1 or not taken or not recent_sec:
        return None
    free_in_sec = [_left_sec(line, recent_sec) for line in taken]
    heapq.heapify(free_in_sec)
    longest = max(line.max_sec for line in taken)
    usual_sec = min(median(recent_sec), longest) if longest else median(recent_sec)
    for _ in range(place - 1):
        heapq.heapreplace(free_in_sec, free_in_sec[0] + usual_sec)
    return free_in_sec[0]


def _left_sec(line: TakenLine, recent_sec: Sequence[float]) -> float:
    """What calls that lasted longer than this one has so far had left, on average, within its limit."""
    longer = [length for length in recent_sec if length > line.elapsed_sec]
    limit_sec = max(0.0, line.max_sec - line.elapsed_sec)
    if longer:
        left_sec = fmean(longer) - line.elapsed_sec
        return min(left_sec, limit_sec) if line.max_sec else left_sec
    return limit_sec / 2 if line.max_sec else median(recent_sec)  # longer than any: nothing is known


class WaitEstimate:
    """Remembers the lengths of calls and guesses for those who wait."""

    def __init__(self, call_manager: CallManager) -> None:
        self._calls = call_manager.calls
        self._recent_sec: deque[float] = deque(maxlen=RECENT_CALLS)
        call_manager.on_end.append(self._note_end)

    def _note_end(self, call: Call) -> None:
        if call.paced and call.live.is_set():
            self._recent_sec.append(call.elapsed_sec)

    def wait_sec(self, snapshot: Snapshot) -> float | None:
        """For the call that ``snapshot`` shows; None if it does not wait."""
        if snapshot.phase is not Phase.WAITING or not snapshot.place:
            return None
        taken = [
            TakenLine(call.elapsed_sec, call.max_sec)
            for call in self._calls.values()
            if call.paced and call.phase in (Phase.PREPARING, Phase.LIVE)
        ]
        return expected_wait_sec(snapshot.place, taken, self._recent_sec)
