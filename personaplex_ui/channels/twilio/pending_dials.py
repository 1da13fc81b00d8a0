"""Outbound calls of today, on the disk: how many were tried, and the personas of those that ring.

A restart neither begins the day anew nor forgets who rings; several processes may share the file. A role is
too long for the webhook's URL, and TwiML inside the request to Twilio ends at 4,000 characters, so personas
wait here, under a key for one use. Knows no Twilio. All but ``left_today`` block on the disk.
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
"""Far more than one account may begin within the time for which they are kept."""

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
    "No calls can be made now: the server cannot count them. Please check that RECORDINGS_DIR can be written "
    "and that its disk is not full."
)


class DailyLimitReached(PhoneUnavailable):
    """As many calls were made today as OUTBOUND_DAILY_LIMIT allows."""


@dataclass(frozen=True, slots=True)
class PendingDial:
    """``day``: the one, in days since 1970 UTC, that it was counted for."""

    key: str
    day: int


class PendingDials:
    """``limit``: attempts in a day. ``clock`` gives the time as ``time.time`` does."""

    def __init__(self, directory: Path, limit: int, clock: Callable[[], float] = time.time) -> None:
        self._limit = limit
        self._database = Database(directory / FILE, SCHEMA)
        self._clock = clock
        self._known_day = -1
        self._known_attempts = 0

    @property
    def left_today(self) -> int:
        """As it was known last, from memory."""
        return max(0, self._limit - (self._known_attempts if self._known_day == self._today() else 0))

    def load(self) -> None:
        """Read what earlier runs and other processes have used of today."""
        if not self._database.path.exists():
            return
        try:
            with self._database.transaction() as connection:
                self._known_day = self._today()
                [self._known_attempts] = connection.execute(ATTEMPTS, (self._known_day,)).fetchone()
        except StorageFailed as error:
            log.warning("How many calls were made today is not known: %s", error)

    def begin(self, persona: Persona) -> PendingDial:
        """Count one attempt, and keep ``persona`` for 5 minutes.

        Raises:
            DailyLimitReached: today's attempts are used up.
            PhoneUnavailable: 100 calls ring already, or the disk refuses: what cannot be counted is not made.
        """
        try:
            return self._begin(persona, self._clock(), self._today())
        except StorageFailed as error:
            log.error("A call was not made, because it cannot be counted: %s", error)
            raise PhoneUnavailable(CANNOT_BE_COUNTED) from None

    def take(self, key: str) -> Persona | None:
        """The persona kept under ``key``, once; None when there is none, or no more."""
        try:
            with self._database.transaction() as connection:
                found = connection.execute(PERSONA, (key, self._clock())).fetchone()
                connection.execute("DELETE FROM pending_dial WHERE key = ?", (key,))
        except StorageFailed as error:
            log.error("As whom to answer a call of ours cannot be read: %s", error)
            return None
        return Persona(*found) if found else None

    def give_back(self, dial: PendingDial) -> None:
        """The attempt reached nobody. Where the disk refuses, it counts all the same."""
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
                raise PhoneUnavailable(f"{MOST_RINGING} calls ring already. Please try again in a minute.")
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
            f"OUTBOUND_DAILY_LIMIT allows {self._limit} calls a day, and they are used up. The count begins "
            "anew at midnight UTC."
        )

    def _today(self) -> int:
        return int(self._clock() // DAY_SEC)
