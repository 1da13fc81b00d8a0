"""What is known of each telephone call by its Twilio SID, for those who ask how it is going.

Looked up in memory; behind that a table on the disk brings the calls back after a restart. Knows no Twilio
client and no number in full. One event loop; a thread of its own writes.
"""

import contextlib
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from pathlib import Path

from personaplex_ui.calls.snapshot import End
from personaplex_ui.channels.twilio.spoken_sentences import CUT_OFF
from personaplex_ui.database import Database
from personaplex_ui.errors import StorageFailed

log = logging.getLogger(__name__)

KEPT = 200
FILE = "phone.sqlite3"
"""In the folder of recordings; pending dials are in it, too."""

STATUSES = ("queued", "initiated", "ringing", "in-progress")
"""Of calls that go on, in the order in which they come; a later one is never followed by an earlier one."""

OVER = ("completed", "busy", "failed", "no-answer", "canceled")

SCHEMA = """
CREATE TABLE IF NOT EXISTS phone_call (
    call_sid TEXT PRIMARY KEY, direction TEXT NOT NULL, number TEXT NOT NULL, status TEXT NOT NULL,
    started_at REAL NOT NULL, ended_at REAL, call_id TEXT NOT NULL, end_kind TEXT, reason TEXT NOT NULL
);
"""
PUT = "INSERT OR REPLACE INTO phone_call VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
PRUNE = """
DELETE FROM phone_call
WHERE call_sid NOT IN (SELECT call_sid FROM phone_call ORDER BY started_at DESC LIMIT ?)
"""


@dataclass(slots=True)
class PhoneCall:
    """``number``: the other side's, masked. ``status`` in Twilio's words; ``unknown`` until it sends one, and
    again when our side has ended the call and Twilio has not said so yet.
    ``call_id``: of our call, once the stream has begun one; ``end`` and ``reason``: why that one ended, or
    why there was none. Times as ``time.time`` gives them. Changed by its log only."""

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

    def __init__(self, directory: Path, clock: Callable[[], float] = time.time) -> None:
        self._database = Database(directory / FILE, SCHEMA)
        self._clock = clock
        self._calls: dict[str, PhoneCall] = {}
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="phone-call-log")

    def load(self) -> None:
        """Bring back the calls of earlier runs. What was live then is over. Blocks on the disk."""
        if not self._database.path.exists():
            return
        try:
            with self._database.transaction() as connection:
                rows = connection.execute("SELECT * FROM phone_call ORDER BY started_at").fetchall()
        except StorageFailed as error:
            log.warning("The telephone calls of earlier runs are not known: %s", error)
            return
        for *values, end, reason in rows:
            call = PhoneCall(*values, end=End(end) if end else None, reason=reason)
            if call.call_id and call.end is None:
                call.end, call.reason = End.SHUTDOWN, CUT_OFF
                self._leave(call)
            self._calls.setdefault(call.call_sid, call)

    def flush(self, within_sec: float = 5.0) -> None:
        """Wait until all is on the disk, unless that takes too long."""
        with contextlib.suppress(TimeoutError):
            self._writer.submit(lambda: None).result(within_sec)

    def begin(self, call_sid: str, direction: str, number: str, status: str = "queued") -> PhoneCall:
        """Note a call. Of one that is known a later status stays: Twilio's messages overtake each other."""
        call = self._calls.get(call_sid)
        if call is None:
            call = self._calls[call_sid] = PhoneCall(call_sid, direction, number, "unknown", self._clock())
            self._prune()
        elif number != "unknown":
            call.direction, call.number = direction, number
        self._change_status(call, status)
        return self._store(call)

    def attach(self, call: PhoneCall, call_id: str) -> None:
        """Its stream has become our call ``call_id``."""
        call.call_id = call_id
        self._store(call)

    def explain(self, call: PhoneCall, reason: str, end: End | None = None) -> None:
        """Why it has ended, or never became a call of ours."""
        call.reason, call.end = reason, end or call.end
        self._store(call)

    def finish(self, call: PhoneCall) -> None:
        """Twilio asked what comes next, and was told to end the call: it need not tell."""
        self._change_status(call, "completed")
        self._store(call)

    def leave(self, call: PhoneCall, reason: str, end: End | None) -> None:
        """Our side of the call is over; what became of the telephone's is for Twilio to tell."""
        self._leave(call)
        self.explain(call, reason, end)

    def get(self, call_sid: str) -> PhoneCall | None:
        return self._calls.get(call_sid)

    def of_call(self, call_id: str) -> PhoneCall | None:
        """The telephone call that our call ``call_id`` belongs to."""
        return next((call for call in self._calls.values() if call.call_id == call_id), None)

    @property
    def newest_first(self) -> list[PhoneCall]:
        return list(reversed(self._calls.values()))

    def _leave(self, call: PhoneCall) -> None:
        if not call.over:
            call.status, call.ended_at = "unknown", self._clock()

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

    def _store(self, call: PhoneCall) -> PhoneCall:
        self._writer.submit(self._write, astuple(call))
        return call

    def _write(self, row: tuple[object, ...]) -> None:
        try:
            with self._database.transaction() as connection:
                connection.execute(PUT, row)
                connection.execute(PRUNE, (KEPT,))
        except StorageFailed as error:
            log.warning("A telephone call is remembered until the next start only: %s", error)


def _comes_before(status: str, known: str) -> bool:
    return known in STATUSES and STATUSES.index(status) < STATUSES.index(known)
