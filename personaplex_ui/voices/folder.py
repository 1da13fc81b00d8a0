"""The files of one folder that are voices, by name, and why each of the others is left out.

Looks at names only; what is in a file is seen when its voice is chosen.
"""

import logging
import threading
from pathlib import Path

from personaplex_ui.voices.names import canonical_voice_name, trouble_with_name

SUFFIXES = (".pt", ".wav")
OTHER_SOUND = (".mp3", ".m4a", ".mp4", ".aac", ".flac", ".ogg", ".opus", ".webm", ".aif", ".aiff", ".wma")
MOST_TOLD = 1_000
"""Files of which a log speaks, each once."""

log = logging.getLogger(__name__)


class VoiceFolders:
    """Looks folders through, and warns once of each file that is left out. From any thread."""

    def __init__(self) -> None:
        self._told: set[Path] = set()
        self._lock = threading.Lock()

    def voices_of(self, folder: Path) -> dict[str, Path]:
        """The files by the canonical names of their voices; of two with one name the ``.pt`` comes first."""
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
                trouble = f"{found[name].name!a} is a voice of the same name"
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
        # ascii: a name may hold what breaks lines, or what no terminal can show.
        name = ascii(path.name)
        log.warning("The file %s in %s is not offered as a voice: %s.", name, path.parent, trouble)


def _trouble(path: Path, name: str) -> str:
    if path.suffix.lower() in OTHER_SOUND:
        return "recordings must be .wav"
    if path.name.startswith("."):
        return "it is hidden, since its name begins with a dot"
    if trouble := trouble_with_name(name):
        return trouble
    return "" if path.is_file() else "it is not a file"
