"""The state of each telephone call by its Twilio SID, for those who ask for its progress.

Reads come from memory; a table on disk restores the calls after a restart. Does not use the Twilio client and
never holds a full number. Runs on one event loop; a separate thread writes.
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
"""In the folder of recordings; it also holds the pending dials."""

STATUSES = ("queued", "initiated", "ringing", "in-progress")
"""Statuses of calls in progress, in order; a later one is never followed by an earlier one."""

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
    """``number``: the other party's, masked. ``status``: Twilio's status; ``unknown`` until Twilio sends one,
    and again after our side has ended the call until Twilio confirms it. ``call_id``: our call, once the
    stream has begun one. ``end`` and ``reason``: why that call ended, or why there was none. Times as from
    ``time.time``. Only its log changes it."""

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
        """Whether the call is over for Twilio too. ``ended_at`` is set as soon as our side has ended."""
        return self.status in OVER


class PhoneCallLog:
    """The last 200 calls. Beyond that, the oldest ended call is removed first."""

    def __init__(self, directory: Path, clock: Callable[[], float] = time.time) -> None:
        self._database = Database(directory / FILE, SCHEMA)
        self._clock = clock
        self._calls: dict[str, PhoneCall] = {}
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="phone-call-log")

    def load(self) -> None:
        """Restore the calls of earlier runs; those that were live are over. Blocks on the disk."""
        if not self._database.path.exists():
            return
        try:
            with self._database.transaction() as connection:
                rows = connection.execute("SELECT * FROM phone_call ORDER BY started_at").fetchall()
        except StorageFailed as error:
            log.warning("The telephone calls of earlier runs could not be read: %s", error)
            return
        for *values, end, reason in rows:
            call = PhoneCall(*values, end=End(end) if end else None, reason=reason)
            if call.call_id and call.end is None:
                call.end, call.reason = End.SHUTDOWN, CUT_OFF
                self._leave(call)
            self._calls.setdefault(call.call_sid, call)

    def flush(self, within_sec: float = 5.0) -> None:
        """Wait until everything is on the disk, but not longer than ``within_sec``."""
        with contextlib.suppress(TimeoutError):
            self._writer.submit(lambda: None).result(within_sec)

    def begin(self, call_sid: str, direction: str, number: str, status: str = "queued") -> PhoneCall:
        """Record a call. A known call keeps a later status, because Twilio's messages may arrive out of
        order."""
        call = self._calls.get(call_sid)
        if call is None:
            call = self._calls[call_sid] = PhoneCall(call_sid, direction, number, "unknown", self._clock())
            self._prune()
        elif number != "unknown":
            call.direction, call.number = direction, number
        self._change_status(call, status)
        return self._store(call)

    def attach(self, call: PhoneCall, call_id: str) -> None:
        """Its stream has begun our call ``call_id``, perhaps not its first."""
        call.call_id, call.end, call.reason = call_id, None, ""
        self._store(call)

    def explain(self, call: PhoneCall, reason: str, end: End | None = None) -> None:
        """Record why it ended, or why it never became one of our calls."""
        call.reason, call.end = reason, end or call.end
        self._store(call)

    def finish(self, call: PhoneCall) -> None:
        """Twilio asked what comes next and was told to end the call, so it does not need to confirm that."""
        self._change_status(call, "completed")
        self._store(call)

    def leave(self, call: PhoneCall, reason: str, end: End | None) -> None:
        """Our side of the call is over; Twilio will report the status of the telephone call."""
        self._leave(call)
        self.explain(call, reason, end)

    def get(self, call_sid: str) -> PhoneCall | None:
        return self._calls.get(call_sid)

    def of_call(self, call_id: str) -> PhoneCall | None:
        """The telephone call to which our call ``call_id`` belongs."""
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
            # Callers who hang up before their stream begins leave calls whose end is never reported.
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
            log.warning("A telephone call is kept in memory only: %s", error)


def _comes_before(status: str, known: str) -> bool:
    return known in STATUSES and STATUSES.index(status) < STATUSES.index(known)
