"""One recording's file on disk: written during the call, valid at every moment, repaired after a crash.

In progress it is called ``<name>.part.wav``; its header is updated after every write, so that it plays even
if the process is killed, and ``repair_recordings`` renames it at the next start. Its writer holds a lock on
it, which ends with the process, so that another server on the same folder leaves it alone.
"""

import errno
import fcntl
import logging
import os
import re
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import Final

from personaplex_ui.audio.files.clip_file import WAV_HEADER_BYTES, wav_header
from personaplex_ui.audio.frames import SAMPLE_RATE_HZ
from personaplex_ui.errors import RecordingFailed, why_of

BYTES_PER_SAMPLE = 4
LONGEST_BYTES = 2**32 - 2**20
"""A WAV cannot hold more than 4 GiB, which is 12.4 hours."""
SHORTEST_BYTES = SAMPLE_RATE_HZ // 5 * BYTES_PER_SAMPLE
"""A recording of less than 0.2 s is not kept."""
_REASONS: Final = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk is full",
    errno.EACCES: "the server may not write to its folder",
    errno.EPERM: "the server may not write to its folder",
    errno.EROFS: "the server may not write to its folder",
    errno.ENOENT: "its folder is gone",
}

OpenFile = Callable[[Path], FileIO]

_logger = logging.getLogger(__name__)


def create_file(path: Path) -> FileIO:
    """A new file readable by its owner only; its directory is created if missing. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return FileIO(path, "x", opener=lambda name, flags: os.open(name, flags, 0o600))


class PartFile:
    """One WAV on the disk; only the writer's thread calls its methods, and none raises OSError.

    ``failed`` and ``taken_bytes`` (sound processed, written or not) may be read by any thread.
    """

    def __init__(self, path: Path, open_file: OpenFile) -> None:
        self.failed: RecordingFailed | None = None
        self.taken_bytes = 0
        self._path = path
        self._part = part_path(path)
        self._open_file = open_file
        self._file: FileIO | None = None
        self._data_bytes = 0
        self._kept: Path | None = None

    def begin(self) -> None:
        try:
            self._file = self._open_file(self._part)
            _lock(self._file.fileno())
            self._set_length(0)
        except OSError as error:
            self._fail(error)

    def write(self, sound: bytes) -> None:
        """Append whole stereo samples."""
        try:
            if self._file is not None and self.failed is None:
                rest = memoryview(sound)
                while rest:
                    rest = rest[self._file.write(rest) :]
                self._set_length(self._data_bytes + len(sound))
        except OSError as error:
            self._fail(error)
        finally:
            self.taken_bytes += len(sound)

    def write_silence(self, samples: int) -> None:
        """Append zeros: a hole in the file, so hours of them cost nothing."""
        try:
            if self._file is not None and self.failed is None:
                length = self._data_bytes + samples * BYTES_PER_SAMPLE
                self._file.truncate(WAV_HEADER_BYTES + length)
                self._set_length(length)
        except OSError as error:
            self._fail(error)

    def finish(self, samples: int | None) -> Path | None:
        """Cut to at most ``samples`` and give the file its name; None when nothing worth keeping is there."""
        file, self._file = self._file, None
        if file is None:
            return self._kept
        try:
            with file:
                length = self._data_bytes
                if samples is not None:
                    length = min(length, samples * BYTES_PER_SAMPLE)
                if length < SHORTEST_BYTES:
                    self._part.unlink()
                    return None
                file.truncate(WAV_HEADER_BYTES + length)
                file.seek(0)
                file.write(wav_header(2, length))
                self._part.replace(self._path)  # while locked, or another server might do it first
            self._kept = self._path
        except OSError as error:
            self._fail(error)
        return self._kept

    def _set_length(self, data_bytes: int) -> None:
        assert self._file is not None
        self._file.seek(0)
        self._file.write(wav_header(2, data_bytes))
        self._file.seek(WAV_HEADER_BYTES + data_bytes)
        self._data_bytes = data_bytes

    def _fail(self, error: OSError) -> None:
        _logger.warning("Recording %s stopped: %s", shown_name(self._part), why_of(error))
        why = _REASONS.get(error.errno or 0, "its file cannot be written")
        if self.failed is None:
            self.failed = stopped(self._data_bytes // BYTES_PER_SAMPLE, why)


def stopped(samples: int, why: str) -> RecordingFailed:
    sec = samples // SAMPLE_RATE_HZ
    return RecordingFailed(
        f"The recording stopped at {sec // 60}:{sec % 60:02}: {why}. The call goes on without it."
    )


def part_path(path: Path) -> Path:
    return path.with_suffix(".part.wav")


def is_being_written(path: Path) -> bool:
    """Whether a server is writing the recording ``path`` now; see ``_lock`` for disks without locks."""
    try:
        with part_path(path).open("r+b") as file:
            return not _lock(file.fileno())
    except OSError:
        return False


def shown_name(path: Path) -> str:
    """A file's name for the log: only six letters of the call's id, which must stay secret."""
    return re.sub(r"^(call-[\w-]{6})[\w-]{16}(?=\.)", r"\1…", path.name)


def repair_recordings(directory: Path) -> list[Path]:
    """Finish the recordings that a crash left in ``directory`` and return them under their final names.

    The header gets its sizes from the file's length, odd bytes at the end are cut, and recordings under 0.2 s
    are removed. Other files are left alone. Blocks; call it before the first call begins.
    """
    repaired: list[Path] = []
    for part in sorted(directory.glob("*.part.wav")):
        try:
            path = _repair(part)
        except OSError as error:
            _logger.warning("Recording %s cannot be repaired: %s", shown_name(part), why_of(error))
            continue
        if path is not None:
            repaired.append(path)
    return repaired


def _repair(part: Path) -> Path | None:
    path = part.with_name(part.name.removesuffix(".part.wav") + ".wav")
    if part.is_symlink() or not part.is_file() or path.exists():
        _logger.warning(
            "Left alone: %s is not one of our recordings, or is already finished", shown_name(part)
        )
        return None
    before = part.stat()
    with part.open("r+b") as file:
        if not _lock(file.fileno()):
            _logger.info("Left alone: %s is being written by another server", shown_name(part))
            return None
        header = file.read(WAV_HEADER_BYTES)
        ours = wav_header(2, 0)
        if not (ours[:4] + ours[8:40]).startswith(header[:4] + header[8:40]):
            _logger.warning("Left alone: %s is not one of our recordings", shown_name(part))
            return None
        length = max(0, before.st_size - WAV_HEADER_BYTES) // BYTES_PER_SAMPLE * BYTES_PER_SAMPLE
        if length >= SHORTEST_BYTES:
            length = min(length, LONGEST_BYTES)
            file.truncate(WAV_HEADER_BYTES + length)
            file.seek(0)
            file.write(wav_header(2, length))
            file.flush()
        if length < SHORTEST_BYTES:
            part.unlink()
            return None
        os.utime(part, ns=(before.st_atime_ns, before.st_mtime_ns))  # its age decides when it expires
        part.replace(path)
    return path


def _lock(file: int) -> bool:
    """Whether nobody else holds the file. On disks without locks, a folder belongs to one server."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
