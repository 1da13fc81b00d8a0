"""How many outbound calls were tried today (UTC), on the disk: a restart does not begin the day anew.

Knows days and a table. Each method blocks on the disk; several processes may share the file.
"""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from personaplex_ui.database import Database

SCHEMA = "CREATE TABLE IF NOT EXISTS outbound (day INTEGER PRIMARY KEY, attempts INTEGER NOT NULL);"
FILE = "phone.sqlite3"
DAY_SEC = 86_400

ADD = """
INSERT INTO outbound VALUES (?, 1) ON CONFLICT (day) DO UPDATE SET attempts = attempts + 1
"""
GIVE_BACK = "UPDATE outbound SET attempts = attempts - 1 WHERE day = ? AND attempts > 0"


class DailyCount:
    """``limit``: attempts in a day. ``clock`` gives the time as ``time.time`` does. StorageFailed is raised
    where the disk refuses: a call that cannot be counted is not made."""

    def __init__(self, directory: Path, limit: int, clock: Callable[[], float] = time.time) -> None:
        self.limit = limit
        self._database = Database(directory / FILE, SCHEMA)
        self._clock = clock
        self._known_day = -1
        self._known_attempts = 0

    @property
    def left_today(self) -> int:
        """As it was known last, from memory."""
        return max(0, self.limit - (self._known_attempts if self._known_day == self._today() else 0))

    def look(self) -> None:
        """Read what earlier runs and other processes have used of today."""
        if self._database.path.exists():
            with self._database.transaction() as connection:
                self._know(self._today(), _attempts(connection, self._today()))

    def take(self) -> int | None:
        """Count one attempt; the day it belongs to, or None where today's are used up."""
        day = self._today()
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM outbound WHERE day < ?", (day - 1,))
            attempts = _attempts(connection, day)
            if attempts < self.limit:
                connection.execute(ADD, (day,))
        is_left = attempts < self.limit
        self._know(day, attempts + is_left)
        return day if is_left else None

    def give_back(self, day: int) -> None:
        """An attempt of ``day`` reached nobody."""
        with self._database.transaction() as connection:
            connection.execute(GIVE_BACK, (day,))
        if self._known_day == day:
            self._known_attempts = max(0, self._known_attempts - 1)

    def _know(self, day: int, attempts: int) -> None:
        self._known_day, self._known_attempts = day, attempts

    def _today(self) -> int:
        return int(self._clock() // DAY_SEC)


def _attempts(connection: sqlite3.Connection, day: int) -> int:
    row = connection.execute("SELECT attempts FROM outbound WHERE day = ?", (day,)).fetchone()
    return row[0] if row else 0
