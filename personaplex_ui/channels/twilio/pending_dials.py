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
from personaplex_ui.database import Database
from personaplex_ui.engine.speech_model import Persona
from personaplex_ui.errors import PhoneUnavailable, StorageFailed

log = logging.getLogger(__name__)

DAY_SEC = 86_400
KEPT_SEC = 300.0
MOST_RINGING = 100
"""Far more than one account can begin before they expire."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS outbound (day INTEGER PRIMARY KEY, attempts INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS pending_dial (
    key TEXT PRIMARY KEY, until REAL NOT NULL, voice TEXT NOT NULL, text_prompt TEXT NOT NULL
);
"""
ADD = """
INSERT INTO outbound VALUES (?, 1) ON CONFLICT (day) DO UPDATE SET attempts = attempts + 1
"""
GIVE_BACK = "UPDATE outbound SET attempts = attempts - 1 WHERE day = ? AND attempts > 0"
ATTEMPTS = "SELECT coalesce(sum(attempts), 0) FROM outbound WHERE day = ?"
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
        self._limit = limit
        self._database = Database(directory / FILE, SCHEMA)
        self._clock = clock
        self._known_day = -1
        self._known_attempts = 0

    @property
    def left_today(self) -> int:
        """The last known value, from memory."""
        return max(0, self._limit - (self._known_attempts if self._known_day == self._today() else 0))

    def load(self) -> None:
        """Read how many attempts earlier runs and other processes made today."""
        if not self._database.path.exists():
            return
        try:
            with self._database.transaction() as connection:
                self._known_day = self._today()
                [self._known_attempts] = connection.execute(ATTEMPTS, (self._known_day,)).fetchone()
        except StorageFailed as error:
            log.warning("The number of calls made today is unknown: %s", error)

    def begin(self, persona: Persona) -> PendingDial:
        """Count one attempt and keep ``persona`` for 5 minutes.

        Raises:
            DailyLimitReached: today's attempts are used up.
            PhoneUnavailable: 100 calls are already ringing, or the disk failed; a call that cannot be counted
                is not made.
        """
        try:
            return self._begin(persona, self._clock(), self._today())
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
            connection.execute(GIVE_BACK, (dial.day,))
            if self._known_day == dial.day:
                self._known_attempts = max(0, self._known_attempts - 1)

    def _begin(self, persona: Persona, now: float, day: int) -> PendingDial:
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM outbound WHERE day < ?", (day - 1,))
            connection.execute("DELETE FROM pending_dial WHERE until < ?", (now,))
            self._known_day = day
            [self._known_attempts] = connection.execute(ATTEMPTS, (day,)).fetchone()
            if self._known_attempts >= self._limit:
                raise DailyLimitReached(self._limit_reached)
            [ringing] = connection.execute("SELECT count(*) FROM pending_dial").fetchone()
            if ringing >= MOST_RINGING:
                raise PhoneUnavailable(
                    f"{MOST_RINGING} calls are already ringing. Please try again in a minute."
                )
            dial = PendingDial(secrets.token_urlsafe(16), day)
            values = (dial.key, now + KEPT_SEC, persona.voice, persona.text_prompt)
            connection.execute("INSERT INTO pending_dial VALUES (?, ?, ?, ?)", values)
            connection.execute(ADD, (day,))
        self._known_attempts += 1
        return dial

    @property
    def _limit_reached(self) -> str:
        if not self._limit:
            return "OUTBOUND_DAILY_LIMIT is 0, so no calls are made."
        return (
            f"OUTBOUND_DAILY_LIMIT allows {self._limit} calls a day, and they are used up. The count starts "
            "again at midnight UTC."
        )

    def _today(self) -> int:
        return int(self._clock() // DAY_SEC)
