"""The table of ended calls on the disk, and the files ``call-<id>.json`` of before, which move into it.

Knows rows and JSON; which calls are kept, and for how long, is decided by ``CallStore``.
"""

import logging
import re
from collections.abc import Iterable
from pathlib import Path

from personaplex_ui.audio.recording.file import shown_name, why_of
from personaplex_ui.calls.record import KeptCall, from_json, to_json
from personaplex_ui.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (
    call_id TEXT PRIMARY KEY,
    ended_at REAL NOT NULL,
    record TEXT NOT NULL
);
"""
FILE = "calls.sqlite3"

_SIDECAR = re.compile(r"call-([A-Za-z0-9_-]{22})\.json")
_logger = logging.getLogger(__name__)


class CallStoreTable:
    """All methods block on the disk and raise StorageFailed where it refuses. Processes may share one."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._database = Database(directory / FILE, SCHEMA)

    def put(self, kept: KeptCall) -> None:
        with self._database.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO calls VALUES (?, ?, ?)", _row(kept))

    def remove(self, call_ids: Iterable[str]) -> None:
        if not self._exists():
            return
        with self._database.transaction() as connection:
            connection.executemany(
                "DELETE FROM calls WHERE call_id = ?", [(call_id,) for call_id in call_ids]
            )

    def remove_ended_before(self, time_sec: float, but: Iterable[str]) -> None:
        """Those of ``but`` stay: they go on, and have no end yet."""
        if not self._exists():
            return
        with self._database.transaction() as connection:
            rows = connection.execute("SELECT call_id FROM calls WHERE ended_at < ?", (time_sec,)).fetchall()
            over = [row for row in rows if row[0] not in but]
            connection.executemany("DELETE FROM calls WHERE call_id = ?", over)

    def all(self) -> list[KeptCall]:
        """What is in the table and can be read; ``recorded`` is True for all."""
        self._take_over_files()
        if not self._exists():
            return []
        with self._database.transaction() as connection:
            rows = connection.execute("SELECT call_id, record FROM calls").fetchall()
        found: list[KeptCall] = []
        for call_id, record in rows:
            try:
                kept = from_json(record)
                if kept.call.call_id != call_id:
                    raise ValueError("it is about another call")
            except ValueError as error:
                _logger.warning(
                    "Left alone: call %s cannot be read: %s", str(call_id)[:6], _first_line(error)
                )
                continue
            found.append(kept)
        return found

    def _take_over_files(self) -> None:
        """One that cannot be read is left alone; so is all where the table cannot be written."""
        for file in sorted(self._directory.glob("call-*.json")):
            name = _SIDECAR.fullmatch(file.name)
            if name is None or file.is_symlink():
                continue
            try:
                kept = from_json(file.read_bytes())
                if kept.call.call_id != name[1]:
                    raise ValueError("it is about another call")
                with self._database.transaction() as connection:
                    connection.execute("INSERT OR IGNORE INTO calls VALUES (?, ?, ?)", _row(kept))
                file.unlink()
            except (OSError, ValueError, RecursionError) as error:
                _logger.warning("Left alone: %s cannot be read: %s", shown_name(file), _first_line(error))

    def _exists(self) -> bool:
        """Looking for calls makes no file."""
        return self._database.path.exists()


def _row(kept: KeptCall) -> tuple[str, float, str]:
    call = kept.call
    return call.call_id, call.started_at + call.duration_sec, to_json(kept)


def _first_line(error: Exception) -> str:
    """pydantic goes on with what was given, which is the caller's."""
    return why_of(error).partition("\n")[0]
