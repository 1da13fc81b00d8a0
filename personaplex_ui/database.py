"""One SQLite file that outlives the process: opened for each transaction, by any thread or process.

Depends on SQLite's files and locks, not on a table. Each method blocks on the disk.
"""

import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import Generator
from pathlib import Path

from personaplex_ui.errors import StorageFailed, why_of

WAITS_FOR_OTHERS_SEC = 5.0
"""How long to wait while another process holds the file."""

log = logging.getLogger(__name__)


class Database:
    """``schema``: statements that create missing tables. The file is created on first use; only its owner can
    read it. A damaged file is moved aside, and a new one is started."""

    def __init__(self, path: Path, schema: str) -> None:
        self.path = path
        self._schema = schema

    @contextlib.contextmanager
    def transaction(self) -> Generator[sqlite3.Connection]:
        """Commits on exit; rolls back if an exception leaves it.

        Raises:
            StorageFailed: the disk refuses, or another process holds the file for too long.
        """
        try:
            with contextlib.closing(self._connect()) as connection:
                connection.execute("BEGIN IMMEDIATE")
                with connection:
                    yield connection
        except (sqlite3.Error, OSError) as error:
            raise StorageFailed(f"{self.path.name} cannot be used: {why_of(error)}") from error

    def _connect(self) -> sqlite3.Connection:
        try:
            return self._open()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):  # locked, full, not writable
                raise
            aside = self.path.with_suffix(f".damaged-{time.time_ns()}")
            self.path.replace(aside)
            log.error(
                "%s is damaged (%s). It is now called %s; a new one is started.",
                self.path.name,
                error,
                aside.name,
            )
            return self._open()

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        # Transactions are begun explicitly, and the journal mode also works on network disks.
        connection = sqlite3.connect(self.path, timeout=WAITS_FOR_OTHERS_SEC, isolation_level=None)
        try:
            connection.executescript(self._schema)
        except BaseException:
            connection.close()
            raise
        return connection
