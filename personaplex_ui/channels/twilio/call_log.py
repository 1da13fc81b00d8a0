"""What is known of each telephone call by its Twilio SID, for those who ask how it is going.

Plain bookkeeping in memory; knows no Twilio client and no number in full.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from personaplex_ui.calls.snapshot import End

KEPT = 200

STATUSES = ("queued", "initiated", "ringing", "in-progress")
"""Of calls that go on, in the order in which they come; a later one is never followed by an earlier one."""

OVER = ("completed", "busy", "failed", "no-answer", "canceled")


@dataclass(slots=True)
class PhoneCall:
    """``number``: the other side's, masked. ``status`` in Twilio's words; ``unknown`` until it sends one, and
    again when our side has ended the call and Twilio has not said so yet.
    ``call_id``: of our call, once the stream has begun one; ``end`` and ``reason``: why that one ended, or
    why there was none. Times as ``time.time`` gives them."""

    call_sid: str
    direction: str
    number: str
    status: str
    started_at: float
    ended_at: float | None = None
    call_id: str = ""
    end: End | None = None
    reason: str = ""

    @property
    def over(self) -> bool:
        """For Twilio too; of our side alone ``ended_at`` tells."""
        return self.status in OVER


class PhoneCallLog:
    """The last 200 calls; of more the oldest that is over goes first."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._calls: dict[str, PhoneCall] = {}

    def begin(self, call_sid: str, direction: str, number: str, status: str = "queued") -> PhoneCall:
        """Note a call. Of one that is known a later status stays: Twilio's messages overtake each other."""
        call = self._calls.get(call_sid)
        if call is None:
            call = self._calls[call_sid] = PhoneCall(call_sid, direction, number, "unknown", self._clock())
            self._prune()
        elif number != "unknown":
            call.direction, call.number = direction, number
        self._change_status(call, status)
        return call

    def finish(self, call: PhoneCall) -> None:
        """Twilio asked what comes next, and was told to end the call: it need not tell."""
        self._change_status(call, "completed")

    def leave(self, call: PhoneCall) -> None:
        """Our side of the call is over; what became of the telephone's is for Twilio to tell."""
        if not call.over:
            call.status, call.ended_at = "unknown", self._clock()

    def get(self, call_sid: str) -> PhoneCall | None:
        return self._calls.get(call_sid)

    def of_call(self, call_id: str) -> PhoneCall | None:
        """The telephone call that our call ``call_id`` belongs to."""
        return next((call for call in self._calls.values() if call.call_id == call_id), None)

    @property
    def newest_first(self) -> list[PhoneCall]:
        return list(reversed(self._calls.values()))

    def _change_status(self, call: PhoneCall, status: str) -> None:
        if call.over or status not in (*STATUSES, *OVER):
            return
        if status in OVER:
            call.ended_at = call.ended_at or self._clock()
        elif call.ended_at is not None or _comes_before(status, call.status):
            return
        call.status = status

    def _prune(self) -> None:
        while len(self._calls) > KEPT:
            # Callers who hang up before their stream begins leave calls that nobody tells the end of.
            over = (c.call_sid for c in self._calls.values() if c.ended_at is not None or not c.call_id)
            del self._calls[next(over, next(iter(self._calls)))]


def _comes_before(status: str, known: str) -> bool:
    return known in STATUSES and STATUSES.index(status) < STATUSES.index(known)
