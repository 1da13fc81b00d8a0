"""What is kept of ended calls, for those who made them: in memory, and beside each recording on the disk.

Knows the names of the files and what stands in them; no page, no wire. An owner is a secret key (a browser's
cookie), of which only the SHA-256 is kept. Files are ``call-<id>.wav`` (StereoRecording writes it) and
``call-<id>.json``, the sidecar that brings the call back after a restart; nothing else is ours.
"""

import hashlib
import json
import logging
import math
import os
import re
import secrets
import threading
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from personaplex_ui.audio.clip_file import WAV_HEADER_BYTES
from personaplex_ui.audio.frames import SAMPLE_RATE_HZ
from personaplex_ui.audio.recording_file import (
    BYTES_PER_SAMPLE,
    part_path,
    repair_recordings,
    shown_name,
    why_of,
)
from personaplex_ui.calls.snapshot import EndedCall, Figures
from personaplex_ui.calls.transcript import Line
from personaplex_ui.errors import InvalidInput

CALL_ID = re.compile(r"[A-Za-z0-9_-]{22}")
CALLS_PER_OWNER = 50
CALLS_IN_ALL = 2_000
LEVELS_IN_ALL = 8_000_000
"""64 MB: ninety hours of calls. Beyond it the oldest calls leave the memory."""
FORMAT = "personaplex_ui call 1"
CUT_OFF = "The server stopped during this call."

_OUR_FILE = re.compile(rf"call-({CALL_ID.pattern})(\.wav|\.json|\.json\.new)")
_LEVELS = tuple(float(level) for level in range(-100, 101))
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Kept:
    owner_hash: str
    call: EndedCall


class Archive:
    """Keeps ended calls for ``keep_sec`` after their end; ``clock`` gives the time as ``time.time`` does.

    Any thread may call it. ``calls_of``, ``get`` and ``recording_path`` only look into memory;
    ``recording_of`` asks the disk for one file; the others block on the disk, so run them in a thread.
    None raises OSError: what the disk refuses is logged, and the call stays in memory.
    """

    def __init__(self, directory: Path, keep_sec: float, clock: Callable[[], float]) -> None:
        self._directory = directory
        self._keep_sec = keep_sec
        self._clock = clock
        self._kept: dict[str, _Kept] = {}
        self._in_progress: set[str] = set()
        self._memory = threading.Lock()
        self._disk = threading.Lock()

    @staticmethod
    def new_call_id() -> str:
        """A name that cannot be guessed: 22 letters, digits, ``-`` or ``_``."""
        return secrets.token_urlsafe(16)

    def recording_path(self, call_id: str) -> Path:
        """Where the call's recording belongs. Raises InvalidInput for what cannot be an id of ours."""
        if not CALL_ID.fullmatch(call_id):
            raise InvalidInput(
                "call_id", "This is not the id of a call. Open the call from your list of calls."
            )
        return self._directory / f"call-{call_id}.wav"

    def calls_of(self, owner: str) -> tuple[EndedCall, ...]:
        """The owner's calls, newest first. An empty owner is nobody."""
        wanted = _hash(owner)
        with self._memory:
            calls = [kept.call for kept in self._kept.values() if _same(kept.owner_hash, wanted)]
        return tuple(sorted(calls, key=lambda call: call.started_at, reverse=True))

    def get(self, owner: str, call_id: str) -> EndedCall | None:
        """The call, or None when there is none of that id or it is another owner's."""
        with self._memory:
            kept = self._kept.get(call_id)
        return kept.call if kept is not None and _same(kept.owner_hash, _hash(owner)) else None

    def recording_of(self, owner: str, call_id: str) -> Path | None:
        call = self.get(owner, call_id)
        if call is None or not call.recorded:
            return None
        path = self.recording_path(call_id)
        return path if os.path.isfile(path) else None  # unlike Path.is_file, it raises nothing

    def begin(self, owner: str, call_id: str, started_at: float, voice: str) -> None:
        """A recorded call begins: note its owner, so that a crash does not make the recording nobody's."""
        call = EndedCall(call_id, started_at, 0.0, voice, CUT_OFF, (), (), (), (), recorded=True)
        with self._disk:
            with self._memory:
                if call_id in self._kept:
                    return  # a slow disk: the call has ended before its beginning could be noted
                self._in_progress.add(call_id)
            self._write_sidecar(_Kept(_hash(owner), call))

    def add(self, owner: str, call: EndedCall) -> None:
        """Keep an ended call, its levels as whole dB. It has to follow where ``begin`` was called."""
        kept = _Kept(_hash(owner), _compact(call))
        with self._memory:
            self._keep([kept])
        with self._disk:
            if call.recorded:
                self._write_sidecar(kept)
            else:
                self._remove([self._sidecar(call.call_id)])
        with self._memory:
            self._in_progress.discard(call.call_id)

    def load(self) -> None:
        """At the start: repair recordings cut off by a crash and bring back the calls of the last run."""
        repair_recordings(self._directory)
        loaded = [self._loaded(sidecar) for sidecar in self._directory.glob("call-*.json")]
        with self._memory:
            self._keep([kept for kept in loaded if kept is not None])
        self.expire(self._clock())

    def expire(self, now: float) -> None:
        """Remove what ended longer than ``keep_sec`` ago, and files of ours as old that belong to no call."""
        with self._memory:
            expired = [x.call for x in self._kept.values() if _ended_at(x.call) + self._keep_sec < now]
            for call in expired:
                del self._kept[call.call_id]
            living = self._kept.keys() | self._in_progress
        for call in expired:
            self._remove([self.recording_path(call.call_id), self._sidecar(call.call_id)])
        self._remove(self._abandoned(now, living))

    def _keep(self, new: list[_Kept]) -> None:
        """Add ``new`` to the memory; the oldest of too many go, and their files stay until they expire."""
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

    def _sidecar(self, call_id: str) -> Path:
        return self.recording_path(call_id).with_suffix(".json")

    def _write_sidecar(self, kept: _Kept) -> None:
        path = self._sidecar(kept.call.call_id)
        new = path.with_suffix(".json.new")
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(new, "w", encoding="utf-8", opener=_private) as file:
                file.write(_to_json(kept))
            new.replace(path)
        except OSError as error:
            _logger.warning("Call %s is kept in memory only: %s", kept.call.call_id[:6], why_of(error))

    def _loaded(self, sidecar: Path) -> _Kept | None:
        """The call of a sidecar of ours; the disk says whether it was recorded, and how long if cut off."""
        name = _OUR_FILE.fullmatch(sidecar.name)
        if name is None:
            return None
        try:
            kept = _from_json(sidecar.read_text(encoding="utf-8"))
            path = self.recording_path(name[1])
            recorded = path.is_file()
            if kept.call.call_id != name[1]:
                raise ValueError("it is about another call")
            if kept.call.reason != CUT_OFF:
                return replace(kept, call=replace(kept.call, recorded=recorded))
            if recorded:
                samples = (path.stat().st_size - WAV_HEADER_BYTES) // BYTES_PER_SAMPLE
                return replace(kept, call=replace(kept.call, duration_sec=samples / SAMPLE_RATE_HZ))
            if not part_path(path).exists():
                sidecar.unlink()  # nothing of that call was kept
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            _logger.warning("Left alone: %s cannot be read: %s", shown_name(sidecar), why_of(error))
        return None

    def _abandoned(self, now: float, living: set[str]) -> Iterable[Path]:
        try:
            files = list(self._directory.iterdir())
        except OSError:
            return
        for file in files:
            name = _OUR_FILE.fullmatch(file.name)
            if name is None or name[1] in living:
                continue
            try:
                if file.lstat().st_mtime + self._keep_sec < now:
                    yield file
            except OSError:
                continue

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


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _ended_at(call: EndedCall) -> float:
    return call.started_at + call.duration_sec


def _compact(call: EndedCall) -> EndedCall:
    return replace(
        call,
        caller_levels_dbfs=_whole_db(call.caller_levels_dbfs),
        assistant_levels_dbfs=_whole_db(call.assistant_levels_dbfs),
    )


def _whole_db(levels: Iterable[float]) -> tuple[float, ...]:
    """Levels in [-100, 100] as floats that all calls share: 8 bytes a value instead of 32."""
    return tuple(_LEVELS[min(max(round(level), -100), 100) + 100] for level in levels)


def _to_json(kept: _Kept) -> str:
    call = kept.call
    values = {
        "format": FORMAT,
        "owner_sha256": kept.owner_hash,
        "call_id": call.call_id,
        "started_at": call.started_at,
        "duration_sec": call.duration_sec,
        "voice": call.voice,
        "reason": call.reason,
        "notes": call.notes,
        "lines": [asdict(line) for line in call.lines],
        "caller_levels_dbfs": [int(level) for level in call.caller_levels_dbfs],
        "assistant_levels_dbfs": [int(level) for level in call.assistant_levels_dbfs],
        "figures": asdict(call.figures),
    }
    return json.dumps(values)


def _from_json(text: str) -> _Kept:
    """Raises ValueError, TypeError or KeyError when it is not what ``_to_json`` writes."""
    values: Any = json.loads(text)
    if values["format"] != FORMAT:
        raise ValueError("unknown format")
    figures: dict[str, Any] = dict(values["figures"])
    call = EndedCall(
        call_id=_text(values["call_id"]),
        started_at=_number(values["started_at"]),
        duration_sec=_number(values["duration_sec"]),
        voice=_text(values["voice"]),
        reason=_text(values["reason"]),
        notes=tuple(_text(note) for note in values["notes"]),
        lines=tuple(
            Line(_number(line["start_sec"]), _number(line["end_sec"]), _text(line["text"]))
            for line in values["lines"]
        ),
        caller_levels_dbfs=_whole_db(_number(level) for level in values["caller_levels_dbfs"]),
        assistant_levels_dbfs=_whole_db(_number(level) for level in values["assistant_levels_dbfs"]),
        recorded=True,
        figures=Figures(**{name: int(_number(value)) for name, value in figures.items()}),
    )
    return _Kept(_text(values["owner_sha256"]), call)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is no text")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError(f"{value!r:.40} is no number")
    return value
