"""Today's outbound calls, on disk: the number of attempts, and the personas of the ringing calls.

The count and the personas survive a restart, and several processes may share the file. A role is too long for
the webhook's URL, and TwiML in the request to Twilio is limited to 4,000 characters, so personas are stored
here under a one-time key. Independent of Twilio. All methods but ``left_today`` block on the disk.
"""

import contextlib
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from personaplex_ui.channels.twilio.call_log import FILE
from personaplex_ui.channels.twilio.daily_count import DailyCount
from personaplex_ui.database import Database
from personaplex_ui.engine.speech_model import Persona
from personaplex_ui.errors import PhoneUnavailable, StorageFailed

log = logging.getLogger(__name__)

KEPT_SEC = 300.0
MOST_RINGING = 100
"""Far more than one account can begin before they expire."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS pending_dial (
    key TEXT PRIMARY KEY, until REAL NOT NULL, voice TEXT NOT NULL, text_prompt TEXT NOT NULL
);
"""
PERSONA = "SELECT voice, text_prompt FROM pending_dial WHERE key = ? AND until >= ?"

CANNOT_BE_COUNTED = (
    "No calls can be made now: the server cannot count them. Please check that RECORDINGS_DIR is writable "
    "and its disk is not full."
)


class DailyLimitReached(PhoneUnavailable):
    """OUTBOUND_DAILY_LIMIT is used up for today."""


@dataclass(frozen=True, slots=True)
class PendingDial:
    """``day``: the day on which it was counted, in days since 1970 UTC."""

    key: str
    day: int


class PendingDials:
    """``limit``: attempts per day. ``clock`` gives the time as ``time.time`` does."""

    def __init__(self, directory: Path, limit: int, clock: Callable[[], float] = time.time) -> None:
        self._count = DailyCount("outbound", limit, clock)
        self._database = Database(directory / FILE, self._count.schema + SCHEMA)
        self._clock = clock

    @property
    def left_today(self) -> int:
        """The last known value, from memory."""
        return self._count.left_today

    def load(self) -> None:
        """Read how many attempts earlier runs and other processes made today."""
        self._count.load(self._database, "made")

    def begin(self, persona: Persona) -> PendingDial:
        """Count one attempt and keep ``persona`` for 5 minutes.

        Raises:
            DailyLimitReached: today's attempts are used up.
            PhoneUnavailable: 100 calls are already ringing, or the disk failed; a call that cannot be counted
                is not made.
        """
        try:
            return self._begin(persona, self._clock())
        except StorageFailed as error:
            log.error("A call was not made, because it cannot be counted: %s", error)
            raise PhoneUnavailable(CANNOT_BE_COUNTED) from None

    def take(self, key: str) -> Persona | None:
        """The persona kept under ``key``, once; None if it is unknown, expired or already taken."""
        try:
            with self._database.transaction() as connection:
                found = connection.execute(PERSONA, (key, self._clock())).fetchone()
                connection.execute("DELETE FROM pending_dial WHERE key = ?", (key,))
        except StorageFailed as error:
            log.error("The persona of an outbound call cannot be read: %s", error)
            return None
        return Persona(*found) if found else None

    def give_back(self, dial: PendingDial) -> None:
        """Do not count an attempt that reached nobody. If the disk fails, it still counts."""
        with contextlib.suppress(StorageFailed), self._database.transaction() as connection:
            connection.execute("DELETE FROM pending_dial WHERE key = ?", (dial.key,))
            self._count.give_back(connection, dial.day)

    def _begin(self, persona: Persona, now: float) -> PendingDial:
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM pending_dial WHERE until < ?", (now,))
            if self._count.read(connection) >= self._count.limit:
                raise DailyLimitReached(self._limit_reached)
            [ringing] = connection.execute("SELECT count(*) FROM pending_dial").fetchone()
            if ringing >= MOST_RINGING:
                raise PhoneUnavailable(
                    f"{MOST_RINGING} calls are already ringing. Please try again in a minute."
                )
            dial = PendingDial(secrets.token_urlsafe(16), self._count.add(connection))
            values = (dial.key, now + KEPT_SEC, persona.voice, persona.text_prompt)
            connection.execute("INSERT INTO pending_dial VALUES (?, ?, ?, ?)", values)
        return dial

    @property
    def _limit_reached(self) -> str:
        if not self._count.limit:
            return "OUTBOUND_DAILY_LIMIT is 0, so no calls are made."
        return (
            f"OUTBOUND_DAILY_LIMIT allows {self._count.limit} calls a day, and they are used up. The count "
            "starts again at midnight UTC."
        )
