"""How often something that costs money was begun today (UTC): a number on disk, with a limit.

Several processes may share the file; whoever counts holds the transaction. Independent of what is counted.
"""

import logging
import sqlite3
from collections.abc import Callable

from personaplex_ui.database import Database
from personaplex_ui.errors import StorageFailed

log = logging.getLogger(__name__)

DAY_SEC = 86_400


class DailyCount:
    """``table``: its own, in the caller's database; ``schema`` creates it. ``clock`` gives the time as
    ``time.time`` does."""

    def __init__(self, table: str, limit: int, clock: Callable[[], float]) -> None:
        assert table.isidentifier()
        self.limit = limit
        self.schema = (
            f"CREATE TABLE IF NOT EXISTS {table} (day INTEGER PRIMARY KEY, attempts INTEGER NOT NULL);\n"
        )
        self._table = table
        self._clock = clock
        self._known_day = -1
        self._known = 0

    @property
    def today(self) -> int:
        """In days since 1970 UTC."""
        return int(self._clock() // DAY_SEC)

    @property
    def left_today(self) -> int:
        """The last known value, from memory."""
        return max(0, self.limit - (self._known if self._known_day == self.today else 0))

    def load(self, database: Database, what: str) -> None:
        """Read what earlier runs and other processes began today; ``what``: its name in the log. Blocks on
        the disk."""
        if not database.path.exists():
            return
        try:
            with database.transaction() as connection:
                self.read(connection)
        except StorageFailed as error:
            log.warning("The number of calls %s today is unknown: %s", what, error)

    def read(self, connection: sqlite3.Connection) -> int:
        """How many were begun today by all processes. Counts of earlier days are removed."""
        day = self.today
        connection.execute(f"DELETE FROM {self._table} WHERE day < ?", (day - 1,))
        [attempts] = connection.execute(
            f"SELECT coalesce(sum(attempts), 0) FROM {self._table} WHERE day = ?", (day,)
        ).fetchone()
        self._known_day, self._known = day, attempts
        return attempts

    def add(self, connection: sqlite3.Connection) -> int:
        """Count one more; returns the day for which it counts. ``read`` it first."""
        counted = "ON CONFLICT (day) DO UPDATE SET attempts = attempts + 1"
        connection.execute(f"INSERT INTO {self._table} VALUES (?, 1) {counted}", (self._known_day,))
        self._known += 1
        return self._known_day

    def give_back(self, connection: sqlite3.Connection, day: int) -> None:
        """Do not count one of ``day`` after all."""
        connection.execute(
            f"UPDATE {self._table} SET attempts = attempts - 1 WHERE day = ? AND attempts > 0", (day,)
        )
        if self._known_day == day:
            self._known = max(0, self._known - 1)
