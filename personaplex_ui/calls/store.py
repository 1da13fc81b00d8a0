"""Keeps ended calls for their owners: in memory, and on disk with each recording.

Depends on retention times, not on the page or a transport. An owner is a secret key (a browser's cookie);
only its SHA-256 is stored. A row of ``CallTable`` restores a call after a restart; ``CallFiles`` has its
recording. Several servers may share a folder.
"""

import contextlib
import hashlib
import logging
import math
import os
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from personaplex_ui.calls.call_files import CALL_ID, CUT_OFF, CallFiles
from personaplex_ui.calls.call_table import CallTable, KeptCall, with_whole_levels
from personaplex_ui.calls.snapshot import EndedCall
from personaplex_ui.errors import CallInProgress, StorageFailed, why_of

CALLS_PER_OWNER = 50
CALLS_IN_ALL = 2_000
LEVELS_IN_ALL = 8_000_000
"""64 MB, ninety hours of calls. Beyond this, the oldest calls are dropped from memory."""
LINE_AS_LEVELS = 100
"""A line of a conversation counts as so many levels."""
DELETIONS_REMEMBERED = 1_000
REFRESHED_EVERY_SEC = 2.0
CANNOT_DELETE = (
    "The server's disk did not let go of the call, so not all of it is deleted. Please try again in a minute."
)

_logger = logging.getLogger(__name__)


class CallStore:
    """Keeps ended calls for ``keep_sec`` after their end; ``clock`` gives the time as ``time.time`` does.

    Any thread may call it. ``calls_of``, ``get`` and ``recording_path`` only look into memory;
    ``recording_of`` looks for one file; the others block on the disk, so run them in a thread. No method but
    ``delete`` raises an error of the disk: it is logged, and the call stays in memory.
    """

    def __init__(self, directory: Path, keep_sec: float, clock: Callable[[], float]) -> None:
        self._keep_sec = keep_sec
        self._clock = clock
        self._files = CallFiles(directory)
        self._table = CallTable(directory)
        self._kept: dict[str, KeptCall] = {}
        self._in_progress: dict[str, str] = {}
        """Hashes of the owners of calls between ``begin`` and ``add``."""
        self._deleted: OrderedDict[str, str] = OrderedDict()
        """Hashes of the owners of the calls that were deleted last."""
        self._looked_at: set[str] = set()
        """The calls of the table that were in memory once."""
        self._refreshed_at = -math.inf
        self._memory = threading.Lock()
        self._disk = threading.Lock()

    @staticmethod
    def new_call_id() -> str:
        """An id that cannot be guessed: 22 letters, digits, ``-`` or ``_``."""
        return secrets.token_urlsafe(16)

    def recording_path(self, call_id: str) -> Path:
        """See ``CallFiles.recording``."""
        return self._files.recording(call_id)

    def face_path(self, call_id: str) -> Path:
        """See ``CallFiles.face``."""
        return self._files.face(call_id)

    def report_path(self, call_id: str) -> Path:
        """See ``CallFiles.report``."""
        return self._files.report(call_id)

    def calls_of(self, owner: str) -> tuple[EndedCall, ...]:
        """The owner's calls, newest first. An empty owner has none."""
        wanted = _hash(owner)
        with self._memory:
            calls = [kept.call for kept in self._kept.values() if _same(kept.owner_hash, wanted)]
        return tuple(sorted(calls, key=lambda call: call.started_at, reverse=True))

    def get(self, owner: str, call_id: str) -> EndedCall | None:
        """The call, or None if there is none with that id or it belongs to another owner."""
        with self._memory:
            kept = self._kept.get(call_id)
        return kept.call if kept is not None and _same(kept.owner_hash, _hash(owner)) else None

    def recording_of(self, owner: str, call_id: str) -> Path | None:
        call = self.get(owner, call_id)
        if call is None or not call.recorded:
            return None
        path = self.recording_path(call_id)
        return path if os.path.isfile(path) else None  # unlike Path.is_file, it never raises

    def keep_until(self, call: EndedCall) -> float:
        """When the call expires."""
        return call.ended_at + self._keep_sec

    def begin(self, owner: str, call_id: str, started_at: float, voice: str, text_prompt: str = "") -> None:
        """Record the owner of a call that begins, so that its recording still has an owner after a crash."""
        call = EndedCall(call_id, started_at, 0.0, voice, CUT_OFF, (), (), (), (), text_prompt=text_prompt)
        with self._disk:
            with self._memory:
                if call_id in self._kept or call_id in self._deleted:
                    return  # slow disk: the call ended before its beginning could be written
                self._in_progress[call_id] = _hash(owner)
            self._store(KeptCall(_hash(owner), call))

    def add(self, owner: str, call: EndedCall) -> None:
        """Keep an ended call, with its levels in whole dB. Required after ``begin``."""
        kept = KeptCall(_hash(owner), with_whole_levels(call))
        with self._memory:
            self._in_progress[call.call_id] = kept.owner_hash
            self._keep([kept])
        with self._disk:
            if call.recorded and call.call_id not in self._deleted:  # its owner may have been quicker
                self._store(kept)
            else:
                with contextlib.suppress(StorageFailed):  # the row is removed when it expires
                    self._table.remove(call.call_id)
        with self._memory:
            self._in_progress.pop(call.call_id, None)

    def load(self) -> None:
        """At startup: repair recordings that a crash cut off, and restore the calls of earlier runs."""
        self._files.repair()
        try:
            loaded = [
                replace(kept, call=call)
                for kept in self._table.all()
                if (call := self._files.as_on_disk(kept.call)) is not None
            ]
        except StorageFailed as error:
            _logger.warning("The calls of earlier runs are not shown: %s", error)
            loaded = []
        with self._memory:
            self._keep(loaded)
        self.expire(self._clock())

    def refresh(self) -> None:
        """Take over what other servers on this folder have kept since; at most every two seconds."""
        now = self._clock()
        with self._memory:
            if 0 <= now - self._refreshed_at < REFRESHED_EVERY_SEC:
                return
            self._refreshed_at = now
        try:
            ids = self._table.ids()
            with self._memory:
                self._looked_at &= ids
                known = self._looked_at.union(self._kept, self._in_progress, self._deleted)
                # What was cut off may have been between its end and its row.
                cut_off = {id for id, kept in self._kept.items() if kept.call.reason == CUT_OFF}
            rows = [self._table.get(call_id) for call_id in (ids - known) | (ids & cut_off)]
        except StorageFailed as error:
            _logger.warning("The calls of other servers are not shown: %s", error)
            return
        found = [
            replace(kept, call=call)
            for kept in rows
            if kept is not None and (call := self._files.as_on_disk(kept.call)) is not None
        ]
        with self._memory:
            self._keep([kept for kept in found if kept.call.call_id not in self._deleted])

    def expire(self, now: float) -> None:
        """Remove calls that ended more than ``keep_sec`` ago, and call files of that age without a call."""
        with self._memory:
            before = now - self._keep_sec
            expired = [id for id, kept in self._kept.items() if kept.call.ended_at < before]
            for call_id in expired:
                del self._kept[call_id]
            in_progress = set(self._in_progress)
            living = self._kept.keys() | in_progress
        try:
            self._table.remove_ended_before(before, but=in_progress)
        except StorageFailed as error:
            _logger.warning("Expired calls stay on the disk for now: %s", error)
        self._forget_deleted_elsewhere()
        self._files.expire(expired, before, living)

    def delete(self, owner: str, call_id: str) -> bool:
        """Remove a call of the owner's: recording, row, memory. False if the owner has no such call.

        It may be one that another server on this folder holds. Deleting it again gives True as long as the
        deletion is remembered, which is for the last 1,000.

        Raises:
            CallInProgress: it has not ended, here or on another server.
            StorageFailed: the disk refuses; the call is still there, at least in part.
        """
        wanted = _hash(owner)
        if not CALL_ID.fullmatch(call_id) or not wanted:
            return False
        with self._disk:
            with self._memory:
                kept = self._kept.get(call_id)
                holder = kept.owner_hash if kept is not None else self._in_progress.get(call_id)
                gone = _same(self._deleted.get(call_id, ""), wanted)
            in_progress = kept is None and holder is not None
            try:
                if holder is None and not gone and (kept := self._table.get(call_id)) is not None:
                    holder, in_progress = kept.owner_hash, self._files.goes_on_elsewhere(kept.call)
                if gone or not _same(holder or "", wanted):
                    return gone
                if in_progress:
                    raise CallInProgress("This call is still going on. End it first, then delete it.")
                self._files.delete(call_id)
                self._table.remove(call_id)
            except (OSError, StorageFailed) as error:
                _logger.warning("Call %s cannot be deleted: %s", call_id[:6], why_of(error))
                raise StorageFailed(CANNOT_DELETE) from error
            with self._memory:
                self._kept.pop(call_id, None)
                self._deleted[call_id] = wanted
                if len(self._deleted) > DELETIONS_REMEMBERED:
                    self._deleted.popitem(last=False)
        return True

    def _forget_deleted_elsewhere(self) -> None:
        """Another server on this folder deleted them: their recording and row are gone."""
        try:
            rows = self._table.ids()
        except StorageFailed:
            return
        with self._memory:
            rowless = [
                call_id
                for call_id, kept in self._kept.items()
                if kept.call.recorded and call_id not in rows and call_id not in self._in_progress
            ]
        for call_id in rowless:
            if not os.path.exists(self._files.recording(call_id)):
                with self._memory:
                    self._kept.pop(call_id, None)

    def _keep(self, new: list[KeptCall]) -> None:
        """Add ``new`` to memory. If there are too many, the oldest leave; their files stay until they
        expire."""
        self._looked_at.update(kept.call.call_id for kept in new)
        self._kept.update({kept.call.call_id: kept for kept in new})
        per_owner: dict[str, int] = {}
        levels = 0
        newest_first = sorted(self._kept.values(), key=lambda kept: kept.call.started_at, reverse=True)
        self._kept.clear()
        for kept in newest_first:
            nth = per_owner[kept.owner_hash] = per_owner.get(kept.owner_hash, 0) + 1
            levels += len(kept.call.caller_levels_dbfs) + len(kept.call.assistant_levels_dbfs)
            levels += LINE_AS_LEVELS * len(kept.call.lines)
            if nth <= CALLS_PER_OWNER and len(self._kept) < CALLS_IN_ALL and levels <= LEVELS_IN_ALL:
                self._kept[kept.call.call_id] = kept

    def _store(self, kept: KeptCall) -> None:
        try:
            self._table.put(kept)
        except StorageFailed as error:
            _logger.warning("Call %s is kept in memory only: %s", kept.call.call_id[:6], error)


def _hash(owner: str) -> str:
    return hashlib.sha256(owner.encode()).hexdigest() if owner else ""


def _same(owner_hash: str, wanted: str) -> bool:
    return bool(wanted) and secrets.compare_digest(owner_hash, wanted)
