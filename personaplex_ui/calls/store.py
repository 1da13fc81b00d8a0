"""Keeps ended calls for their owners: in memory, and on disk with each recording.

Depends on file names and retention times, not on the page or a transport. An owner is a secret key (a
browser's cookie); only its SHA-256 is stored. Recordings are ``call-<id>.wav`` (StereoRecording writes them);
a row of ``CallTable`` restores the call after a restart. Several servers may share a folder.
"""

import contextlib
import hashlib
import logging
import os
import re
import secrets
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from personaplex_ui.audio.files.clip_file import WAV_HEADER_BYTES
from personaplex_ui.audio.frames import SAMPLE_RATE_HZ
from personaplex_ui.audio.recording.file import BYTES_PER_SAMPLE, repair_recordings, shown_name
from personaplex_ui.calls.call_table import CallTable, KeptCall, with_whole_levels
from personaplex_ui.calls.snapshot import EndedCall
from personaplex_ui.errors import InvalidInput, StorageFailed, why_of

CALL_ID = re.compile(r"[A-Za-z0-9_-]{22}")
CALLS_PER_OWNER = 50
CALLS_IN_ALL = 2_000
LEVELS_IN_ALL = 8_000_000
"""64 MB, ninety hours of calls. Beyond this, the oldest calls are dropped from memory."""
CUT_OFF = "The server stopped during this call."

_OUR_FILE = re.compile(rf"call-({CALL_ID.pattern})(\.wav|\.json|\.json\.new)")
_logger = logging.getLogger(__name__)


class CallStore:
    """Keeps ended calls for ``keep_sec`` after their end; ``clock`` gives the time as ``time.time`` does.

    Any thread may call it. ``calls_of``, ``get`` and ``recording_path`` only look into memory;
    ``recording_of`` looks for one file; the others block on the disk, so run them in a thread. No method
    raises an error of the disk: it is logged, and the call stays in memory.
    """

    def __init__(self, directory: Path, keep_sec: float, clock: Callable[[], float]) -> None:
        self._directory = directory
        self._keep_sec = keep_sec
        self._clock = clock
        self._table = CallTable(directory)
        self._kept: dict[str, KeptCall] = {}
        self._in_progress: set[str] = set()
        self._memory = threading.Lock()
        self._disk = threading.Lock()

    @staticmethod
    def new_call_id() -> str:
        """An id that cannot be guessed: 22 letters, digits, ``-`` or ``_``."""
        return secrets.token_urlsafe(16)

    def recording_path(self, call_id: str) -> Path:
        """The path of the call's recording. Raises InvalidInput for a malformed id."""
        if not CALL_ID.fullmatch(call_id):
            raise InvalidInput(
                "call_id", "This is not the id of a call. Open the call from your list of calls."
            )
        return self._directory / f"call-{call_id}.wav"

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

    def begin(self, owner: str, call_id: str, started_at: float, voice: str) -> None:
        """Record the owner of a call that begins, so that its recording still has an owner after a crash."""
        call = EndedCall(call_id, started_at, 0.0, voice, CUT_OFF, (), (), (), ())
        with self._disk:
            with self._memory:
                if call_id in self._kept:
                    return  # slow disk: the call ended before its beginning could be written
                self._in_progress.add(call_id)
            self._store(KeptCall(_hash(owner), call))

    def add(self, owner: str, call: EndedCall) -> None:
        """Keep an ended call, with its levels in whole dB. Required after ``begin``."""
        kept = KeptCall(_hash(owner), with_whole_levels(call))
        with self._memory:
            self._keep([kept])
        with self._disk:
            if call.recorded:
                self._store(kept)
            else:
                with contextlib.suppress(StorageFailed):  # the row is removed when it expires
                    self._table.remove(call.call_id)
        with self._memory:
            self._in_progress.discard(call.call_id)

    def load(self) -> None:
        """At startup: repair recordings that a crash cut off, and restore the calls of earlier runs."""
        repair_recordings(self._directory)
        try:
            loaded = [found for kept in self._table.all() if (found := self._as_on_disk(kept)) is not None]
        except StorageFailed as error:
            _logger.warning("The calls of earlier runs are not shown: %s", error)
            loaded = []
        with self._memory:
            self._keep(loaded)
        self.expire(self._clock())

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
        self._remove(map(self.recording_path, expired))
        self._remove(self._abandoned(before, living))

    def _keep(self, new: list[KeptCall]) -> None:
        """Add ``new`` to memory. If there are too many, the oldest leave; their files stay until they
        expire."""
        self._kept.update({kept.call.call_id: kept for kept in new})
        per_owner: dict[str, int] = {}
        levels = 0
        newest_first = sorted(self._kept.values(), key=lambda kept: kept.call.started_at, reverse=True)
        self._kept.clear()
        for kept in newest_first:
            nth = per_owner[kept.owner_hash] = per_owner.get(kept.owner_hash, 0) + 1
            levels += len(kept.call.caller_levels_dbfs) + len(kept.call.assistant_levels_dbfs)
            if nth <= CALLS_PER_OWNER and len(self._kept) < CALLS_IN_ALL and levels <= LEVELS_IN_ALL:
                self._kept[kept.call.call_id] = kept

    def _store(self, kept: KeptCall) -> None:
        try:
            self._table.put(kept)
        except StorageFailed as error:
            _logger.warning("Call %s is kept in memory only: %s", kept.call.call_id[:6], error)

    def _as_on_disk(self, kept: KeptCall) -> KeptCall | None:
        """Look on the disk whether the call was recorded and, if it was cut off, how long it is. None for a
        call still in progress on another server, and for one without a recording."""
        call = kept.call
        try:
            path = self.recording_path(call.call_id)
            recorded = path.is_file()
            if call.reason != CUT_OFF:
                return replace(kept, call=replace(call, recorded=recorded))
            if recorded:
                samples = (path.stat().st_size - WAV_HEADER_BYTES) // BYTES_PER_SAMPLE
                return replace(kept, call=replace(call, duration_sec=samples / SAMPLE_RATE_HZ))
        except (OSError, InvalidInput) as error:
            _logger.warning("Skipped call %s, which cannot be read: %s", call.call_id[:6], why_of(error))
        return None

    def _abandoned(self, before: float, living: set[str]) -> Iterable[Path]:
        """Call files that belong to no call and were last written before ``before``."""
        for file in self._directory.glob("call-*"):
            name = _OUR_FILE.fullmatch(file.name)
            if name is not None and name[1] not in living:
                with contextlib.suppress(OSError):
                    if file.lstat().st_mtime < before:
                        yield file

    def _remove(self, files: Iterable[Path]) -> None:
        for file in files:
            try:
                file.unlink(missing_ok=True)
            except OSError as error:
                _logger.warning("%s cannot be removed: %s", shown_name(file), why_of(error))


def _hash(owner: str) -> str:
    return hashlib.sha256(owner.encode()).hexdigest() if owner else ""


def _same(owner_hash: str, wanted: str) -> bool:
    return bool(wanted) and secrets.compare_digest(owner_hash, wanted)
