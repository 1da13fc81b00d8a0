"""Recorded voices as Mimi is to encode them, kept while their files stay as they are. Blocks; any thread."""

import threading
from collections import OrderedDict
from pathlib import Path

from personaplex_ui.audio.frames import Samples
from personaplex_ui.errors import InvalidInput
from personaplex_ui.voices.recording import read_voice_recording

MOST_KEPT = 16
"""Of 30 s each they take 46 MB."""

Version = tuple[Path, int, int, int, int]


class KeptRecordings:
    """However many ask for a file at once, it is decoded once; what cannot be used is known as well."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Version, Samples | InvalidInput] = OrderedDict()
        self._lock = threading.Lock()
        self._decoding = threading.Lock()

    def samples_of(self, path: Path) -> Samples:
        """Raises InvalidInput for ``voice``: the recording cannot be read or used."""
        version = _version_of(path)
        found = self._find(version)
        if found is None:
            with self._decoding:
                found = self._find(version)  # somebody else may have been waited for
                if found is None:
                    found = _decoded(path)
                    self._keep(version, found)
        if isinstance(found, InvalidInput):
            raise InvalidInput(found.field, str(found))
        return found

    def _find(self, version: Version | None) -> Samples | InvalidInput | None:
        with self._lock:
            if version is None or version not in self._kept:
                return None
            self._kept.move_to_end(version)
            return self._kept[version]

    def _keep(self, version: Version | None, found: Samples | InvalidInput) -> None:
        if version is None:
            return
        with self._lock:
            self._kept[version] = found
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)


def _decoded(path: Path) -> Samples | InvalidInput:
    try:
        return read_voice_recording(path, "voice")
    except InvalidInput as error:
        return error


def _version_of(path: Path) -> Version | None:
    """What changes with a file; None when it cannot be looked at."""
    try:
        status = path.stat()
    except OSError:
        return None
    return path, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
