"""Lists the voice files of one folder by name, and says why each of the others is left out.

Looks at names only; a file is read when its voice is chosen.
"""

import logging
import threading
from pathlib import Path

from personaplex_ui.voices.names import canonical_voice_name, trouble_with_name

SUFFIXES = (".pt", ".wav")
OTHER_SOUND = (".mp3", ".m4a", ".mp4", ".aac", ".flac", ".ogg", ".opus", ".webm", ".aif", ".aiff", ".wma")
MOST_TOLD = 1_000
"""Files the log mentions, each once."""

log = logging.getLogger(__name__)


class VoiceFolders:
    """Lists folders, and warns once about each file that is left out. Thread-safe."""

    def __init__(self) -> None:
        self._told: set[Path] = set()
        self._lock = threading.Lock()

    def voices_of(self, folder: Path) -> dict[str, Path]:
        """The files by canonical voice name; if two share a name, the ``.pt`` wins."""
        try:
            paths = sorted(folder.iterdir(), key=lambda path: (path.suffix.lower(), path.name))
        except FileNotFoundError:
            return {}
        except OSError as error:
            log.warning("The voices in %s cannot be listed: %s.", folder, error.strerror)
            return {}
        found: dict[str, Path] = {}
        for path in paths:
            if path.suffix.lower() not in (*SUFFIXES, *OTHER_SOUND):
                continue
            name = canonical_voice_name(path.stem)
            trouble = _trouble(path, name)
            if not trouble and name in found:
                trouble = f"{found[name].name!a} is a voice with the same name"
            if trouble:
                self._tell(path, trouble)
            else:
                found[name] = path
        return found

    def _tell(self, path: Path, trouble: str) -> None:
        with self._lock:
            if path in self._told or len(self._told) >= MOST_TOLD:
                return
            self._told.add(path)
        # ascii: a name may contain line breaks, or characters that a terminal cannot show.
        name = ascii(path.name)
        log.warning("The file %s in %s is not offered as a voice: %s.", name, path.parent, trouble)


def _trouble(path: Path, name: str) -> str:
    if path.suffix.lower() in OTHER_SOUND:
        return "recordings must be .wav"
    if path.name.startswith("."):
        return "it is hidden, because its name begins with a dot"
    if trouble := trouble_with_name(name):
        return trouble
    return "" if path.is_file() else "it is not a file"
