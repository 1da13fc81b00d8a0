"""What visitors have used of their minutes today, on disk. Rows of other days are deleted."""

import logging
from collections.abc import Mapping
from pathlib import Path

from personaplex_ui.database import Database
from personaplex_ui.errors import StorageFailed

FILE = "visitors.sqlite3"
SCHEMA = """
CREATE TABLE IF NOT EXISTS spent (
    visitor TEXT PRIMARY KEY,
    day INTEGER NOT NULL,
    seconds REAL NOT NULL
);
"""

log = logging.getLogger(__name__)


class SpentTable:
    """A ``SpentStore`` in ``folder``. A disk that refuses costs no call: the counts in memory go on."""

    def __init__(self, folder: Path) -> None:
        self._database = Database(folder / FILE, SCHEMA)

    def load(self, day: int) -> Mapping[str, float]:
        try:
            with self._database.transaction() as connection:
                connection.execute("DELETE FROM spent WHERE day != ?", (day,))
                return dict(connection.execute("SELECT visitor, seconds FROM spent").fetchall())
        except StorageFailed as error:
            log.error("What visitors have used today is not known any more: %s", error)
            return {}

    def save(self, day: int, spent: Mapping[str, float]) -> None:
        try:
            with self._database.transaction() as connection:
                connection.execute("DELETE FROM spent WHERE day != ?", (day,))
                rows = [(visitor, day, seconds) for visitor, seconds in spent.items()]
                connection.executemany("INSERT OR REPLACE INTO spent VALUES (?, ?, ?)", rows)
        except StorageFailed as error:
            log.error("What a visitor has used today is not kept: %s", error)
