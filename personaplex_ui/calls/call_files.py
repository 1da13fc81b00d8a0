"""The files of calls in one folder: ``call-<id>.wav``, which StereoRecording writes, the video and the report
made of it, and what earlier versions left. Several servers may share the folder.

Knows names, ages and lengths of files; ``CallStore`` decides which calls are kept.
"""

import contextlib
import logging
import os
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from personaplex_ui.audio.files.clip_file import WAV_HEADER_BYTES
from personaplex_ui.audio.frames import SAMPLE_RATE_HZ
from personaplex_ui.audio.recording.file import (
    BYTES_PER_SAMPLE,
    is_being_written,
    part_path,
    repair_recordings,
    shown_name,
)
from personaplex_ui.calls.snapshot import EndedCall
from personaplex_ui.errors import InvalidInput, why_of

CALL_ID = re.compile(r"[A-Za-z0-9_-]{22}")
CUT_OFF = "The server stopped during this call."
"""The reason of a call as long as its end is not known."""

_OUR_FILE = re.compile(rf"call-({CALL_ID.pattern})(\.wav|\.json|\.json\.new|\.(mp4|report\.json)(\.part)?)")
_logger = logging.getLogger(__name__)


class CallFiles:
    """All methods but ``recording``, ``face`` and ``report`` block on the disk. Only ``delete`` raises an
    error of it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def recording(self, call_id: str) -> Path:
        """The path of the call's recording. Raises InvalidInput for a malformed id."""
        if not CALL_ID.fullmatch(call_id):
            raise InvalidInput(
                "call_id", "This is not the id of a call. Open the call from your list of calls."
            )
        return self._directory / f"call-{call_id}.wav"

    def face(self, call_id: str) -> Path:
        """The path of the video that is made of the call's recording; it goes with it. Raises as above."""
        return self.recording(call_id).with_suffix(".mp4")

    def report(self, call_id: str) -> Path:
        """The path of the report that is measured in the call's recording; it goes with it. Raises as
        above."""
        return self.recording(call_id).with_suffix(".report.json")

    def repair(self) -> None:
        """At startup: repair recordings that a crash cut off."""
        repair_recordings(self._directory)

    def as_on_disk(self, call: EndedCall) -> EndedCall | None:
        """Look on the disk whether the call was recorded and, if it was cut off, how long it is. None for a
        call still in progress on another server, and for one without a recording."""
        try:
            path = self.recording(call.call_id)
            recorded = path.is_file()
            if call.reason != CUT_OFF:
                return replace(call, recorded=recorded)
            if recorded:
                samples = (path.stat().st_size - WAV_HEADER_BYTES) // BYTES_PER_SAMPLE
                return replace(call, duration_sec=samples / SAMPLE_RATE_HZ)
        except (OSError, InvalidInput) as error:
            _logger.warning("Skipped call %s, which cannot be read: %s", call.call_id[:6], why_of(error))
        return None

    def goes_on_elsewhere(self, call: EndedCall) -> bool:
        """Whether a call that is not in progress here still is on another server, or may be."""
        path = self.recording(call.call_id)
        if call.reason != CUT_OFF or os.path.exists(path):
            return False
        return is_being_written(path) or not os.path.exists(part_path(path))

    def delete(self, call_id: str) -> None:
        """Delete all files of the call. Raises OSError."""
        path = self.recording(call_id)
        suffixes = (".json", ".json.new", ".mp4", ".mp4.part", ".report.json", ".report.json.part")
        for file in (path, part_path(path), *map(path.with_suffix, suffixes)):
            file.unlink(missing_ok=True)

    def expire(self, expired: Iterable[str], before: float, living: Collection[str]) -> None:
        """Delete the recordings, videos and reports of the calls ``expired``, and what belongs to no
        ``living`` call and was last written before ``before``."""
        kinds = (self.recording, self.face, self.report)
        self._remove(path(call_id) for call_id in expired for path in kinds)
        self._remove(self._abandoned(before, living))

    def _abandoned(self, before: float, living: Collection[str]) -> Iterator[Path]:
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
