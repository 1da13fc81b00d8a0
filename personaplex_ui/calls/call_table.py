"""The table of ended calls on disk. It also imports the ``call-<id>.json`` files of earlier versions.

Handles rows and JSON; ``CallStore`` decides which calls are kept, and for how long.
"""

import json
import logging
import math
import os
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter

from personaplex_ui.audio.recording.file import shown_name
from personaplex_ui.calls.snapshot import EndedCall
from personaplex_ui.database import Database
from personaplex_ui.errors import why_of

SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (
    call_id TEXT PRIMARY KEY,
    ended_at REAL NOT NULL,
    record TEXT NOT NULL
);
"""
FILE = "calls.sqlite3"

_SIDECAR = re.compile(r"call-([A-Za-z0-9_-]{22})\.json")
_WHOLE_DB = tuple(float(level) for level in range(-100, 101))
_CALL = TypeAdapter(EndedCall)
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KeptCall:
    """``owner_hash``: the SHA-256 of the owner's key, as hex; empty for a call without an owner."""

    owner_hash: str
    call: EndedCall


class _Header(BaseModel):
    """The fields of a record that are not part of the call."""

    model_config = ConfigDict(strict=True)

    format: Literal["personaplex_ui call 1"] = "personaplex_ui call 1"
    owner_sha256: str


def to_json(kept: KeptCall) -> str:
    """Leaves out ``recorded``, which depends on the files on disk."""
    header = _Header(owner_sha256=kept.owner_hash).model_dump()
    return json.dumps(header | _CALL.dump_python(kept.call, mode="json", by_alias=True, exclude={"recorded"}))


def from_json(text: str | bytes) -> KeptCall:
    """``recorded`` is set to True. Raises ValueError for anything that ``to_json`` does not write."""
    header = _Header.model_validate_json(text)
    return KeptCall(header.owner_sha256, with_whole_levels(_CALL.validate_json(text)))


def with_whole_levels(call: EndedCall) -> EndedCall:
    """Round levels down to floats in [-100, 100] dBFS that all calls share: 8 bytes a value instead of 32.
    Down, so that what was below a threshold of whole dB, such as that of speech, still is."""
    return replace(
        call,
        caller_levels_dbfs=_in_whole_db(call.caller_levels_dbfs),
        assistant_levels_dbfs=_in_whole_db(call.assistant_levels_dbfs),
    )


def _in_whole_db(levels: Iterable[float]) -> tuple[float, ...]:
    return tuple(_WHOLE_DB[min(max(math.floor(level), -100), 100) + 100] for level in levels)


class CallTable:
    """All methods block on the disk and raise StorageFailed when it fails. Processes may share one table."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._database = Database(directory / FILE, SCHEMA)

    def put(self, kept: KeptCall, replace: bool = True) -> None:
        verb = "REPLACE" if replace else "IGNORE"
        call = kept.call
        with self._database.transaction() as connection:
            connection.execute(
                f"INSERT OR {verb} INTO calls VALUES (?, ?, ?)", (call.call_id, call.ended_at, to_json(kept))
            )

    def remove(self, call_id: str) -> None:
        if self._exists():
            with self._database.transaction() as connection:
                connection.execute("DELETE FROM calls WHERE call_id = ?", (call_id,))

    def get(self, call_id: str) -> KeptCall | None:
        """The call, if its row can be read; ``recorded`` is True."""
        if not self._exists():
            return None
        with self._database.transaction() as connection:
            row = connection.execute("SELECT record FROM calls WHERE call_id = ?", (call_id,)).fetchone()
        try:
            return None if row is None else _read(row[0], call_id)
        except ValueError:
            return None

    def ids(self) -> set[str]:
        if not self._exists():
            return set()
        with self._database.transaction() as connection:
            return {row[0] for row in connection.execute("SELECT call_id FROM calls")}

    def remove_ended_before(self, time_sec: float, but: Collection[str]) -> None:
        """The calls in ``but`` stay, because they are still in progress."""
        if self._exists():
            with self._database.transaction() as connection:
                over = "ended_at < ? AND call_id NOT IN (SELECT value FROM json_each(?))"
                connection.execute(f"DELETE FROM calls WHERE {over}", (time_sec, json.dumps(list(but))))

    def all(self) -> list[KeptCall]:
        """Every readable call in the table; ``recorded`` is True for all."""
        self._take_over_files()
        if not self._exists():
            return []
        with self._database.transaction() as connection:
            rows = connection.execute("SELECT call_id, record FROM calls").fetchall()
        found: list[KeptCall] = []
        for call_id, record in rows:
            try:
                found.append(_read(record, call_id))
            except ValueError as error:
                _logger.warning("Skipped call %s, which cannot be read: %s", call_id[:6], _first_line(error))
        return found

    def _take_over_files(self) -> None:
        """Files that cannot be read stay as they are, and so do all files if the table cannot be written."""
        for file in sorted(self._directory.glob("call-*.json")):
            name = _SIDECAR.fullmatch(file.name)
            if name is None or file.is_symlink():
                continue
            try:
                self.put(_read(file.read_bytes(), name[1]), replace=False)
                file.unlink()
            except (OSError, ValueError, RecursionError) as error:
                _logger.warning("Skipped %s, which cannot be read: %s", shown_name(file), _first_line(error))

    def _exists(self) -> bool:
        """Lets a search for calls run without creating the file."""
        return os.path.exists(self._database.path)  # unlike Path.exists, it never raises


def _read(record: str | bytes, call_id: str) -> KeptCall:
    """Raises ValueError if it is not the record of this call."""
    kept = from_json(record)
    if kept.call.call_id != call_id:
        raise ValueError("it is about another call")
    return kept


def _first_line(error: Exception) -> str:
    """pydantic's further lines quote the input, which is the caller's private data."""
    return why_of(error).partition("\n")[0]
