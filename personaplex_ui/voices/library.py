"""The available voices: those of the catalogue, files in folders, and recordings users uploaded.

Depends on names, files and recordings, not on the contents of a ``.pt`` file. A name is looked up among the
files the folders list and never becomes a path.
"""

import re
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path

from personaplex_ui.audio.frames import Samples
from personaplex_ui.errors import InvalidInput
from personaplex_ui.voices.catalogue import Voice
from personaplex_ui.voices.folder import SUFFIXES, VoiceFolders
from personaplex_ui.voices.names import canonical_voice_name, trouble_with_name
from personaplex_ui.voices.recording import KeptRecordings, read_voice_recording

MOST_UPLOADS = 100
"""At 30 s each they take 290 MB; a new one replaces the oldest."""

UPLOADS_KEPT_SEC = 3_600.0
"""After its last use."""

DROPPED_IN = "Dropped in"
"""The group of voices that the catalogue does not list."""

UPLOAD_PREFIX = "own-"
UPLOAD_NAME = re.compile(r"own-[0-9a-f]{32}")


class VoiceLibrary:
    """``folders``: the first one that has a voice wins. They are listed on every request, so an added voice
    is available at once. ``without_files``: offer the voices of the catalogue even if no folder has them.
    Thread-safe."""

    def __init__(
        self,
        catalogue: Sequence[Voice] = (),
        folders: Sequence[Path] = (),
        default: str = "",
        without_files: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._catalogue = tuple(catalogue)
        self._folders = tuple(folders)
        self._default = default
        self._without_files = without_files
        self._added: dict[str, Path] = {}
        self._files = VoiceFolders()
        self._recordings = KeptRecordings()
        self._presets: Path | None = None
        self._uploads: OrderedDict[str, Samples] = OrderedDict()
        self._used_at: dict[str, float] = {}
        self._clock = clock
        self._lock = threading.Lock()

    def offer_files_only(self, presets: Path | None) -> None:
        """From now on a voice needs a file, because the model is loaded. ``presets``: the folder of the
        model's own voices, if it has any."""
        with self._lock:
            self._without_files = False
            self._presets = presets

    def offer_catalogue(self) -> None:
        """From now on no voice needs a file, because the model uses none."""
        with self._lock:
            self._without_files = True

    def offered(self) -> list[Voice]:
        """The voices anybody may choose: first the catalogue, in its order, then other files. Uploads are not
        included."""
        paths = self._paths()
        listed = [voice for voice in self._catalogue if self._without_files or voice.name in paths]
        others = sorted(paths.keys() - {voice.name for voice in self._catalogue})
        return [*listed, *(Voice(name, DROPPED_IN, name) for name in others)]

    def names(self) -> list[str]:
        """The names of ``offered``."""
        return [voice.name for voice in self.offered()]

    @property
    def default(self) -> str:
        """The voice for callers who choose none: the configured one if it is offered, else the first."""
        names = self.names()
        return self._default if self._default in names or not names else names[0]

    def check(self, value: object) -> str:
        """The canonical name of the voice a caller gave as ``value``, with or without ``.pt``.

        Raises:
            InvalidInput: there is no such voice, or an upload was forgotten.
        """
        if not isinstance(value, str):
            raise InvalidInput(
                "voice", "The voice must be a name, such as “NATF2”. Please choose one from the list."
            )
        name = canonical_voice_name(value)
        if not self.is_upload(name) and name not in self.names():
            if name.startswith(UPLOAD_PREFIX):
                raise InvalidInput("voice", "Your own voice is no longer stored. Please give it again.")
            raise InvalidInput(
                "voice", f"There is no voice “{_shown(value)}”. Please choose one from the list."
            )
        return name

    def is_upload(self, name: str) -> bool:
        """Whether ``name`` is a user's upload that is still kept."""
        with self._lock:
            self._drop_unused()
            return name in self._uploads

    def is_lost_upload(self, name: str) -> bool:
        """Whether ``name`` was an upload that is no longer kept."""
        return name.startswith(UPLOAD_PREFIX) and not self.is_upload(name) and name not in self._paths()

    def is_recording(self, name: str) -> bool:
        """Whether ``name`` is a recording, not a preset. Raises InvalidInput if no folder has it."""
        return self.is_upload(name) or self.path_of(name).suffix.lower() != ".pt"

    def path_of(self, name: str) -> Path:
        """The file of the voice ``name``, with or without its suffix.

        Raises:
            InvalidInput: no folder has it.
        """
        paths = self._paths()
        wanted = canonical_voice_name(name)
        path = paths.get(name) or paths.get(wanted) or paths.get(wanted.removesuffix(".wav"))
        if path is None:
            which = "no such voice" if trouble_with_name(wanted) else f"no voice {wanted}"
            raise InvalidInput("voice", f"There is {which}. Choose another one.")
        return path

    def recording(self, name: str) -> Samples:
        """The recorded voice ``name``, ready for Mimi to encode, in whole frames. Raises InvalidInput."""
        with self._lock:
            if name in self._uploads:
                self._uploads.move_to_end(name)
                self._used_at[name] = self._clock()
                return self._uploads[name]
        return self._recordings.samples_of(self.path_of(name))

    def add_file(self, path: Path) -> str:
        """Offer one file from anywhere; returns its unique voice name.

        For paths given by the owner of this machine, never for paths from a request.

        Raises:
            InvalidInput: the file does not exist or is not a voice file.
        """
        if path.suffix.lower() not in SUFFIXES:
            raise InvalidInput("voice", f"{path} is not a voice: its name must end in .pt or .wav.")
        if not path.is_file():
            raise InvalidInput("voice", f"There is no file {path}. Correct the path, or name a preset.")
        name = canonical_voice_name(str(path.resolve()))
        with self._lock:
            self._added[name] = path
        return name

    def keep_upload(self, path: Path) -> str:
        """Check a user's own recording and keep it for a while. Returns a name nobody can guess.

        Raises:
            InvalidInput: for ``voice_file``; it cannot be used.
        """
        samples = read_voice_recording(path)
        name = f"{UPLOAD_PREFIX}{secrets.token_hex(16)}"
        self.put_upload(name, samples)
        return name

    def put_upload(self, name: str, samples: Samples) -> None:
        """Keep a checked recording under a name from ``keep_upload``, in this process or another."""
        with self._lock:
            self._drop_unused()
            self._uploads[name] = samples
            self._used_at[name] = self._clock()
            while len(self._uploads) > MOST_UPLOADS:
                del self._used_at[self._uploads.popitem(last=False)[0]]

    def forget_upload(self, name: str) -> None:
        """Drop a recording of ``keep_upload``, if it is still there."""
        with self._lock:
            self._uploads.pop(name, None)
            self._used_at.pop(name, None)

    def _drop_unused(self) -> None:
        # A page whose connection broke leaves without notice, so nothing else removes its uploads.
        oldest = self._clock() - UPLOADS_KEPT_SEC
        for name in [name for name, used_at in self._used_at.items() if used_at < oldest]:
            del self._uploads[name], self._used_at[name]

    def _paths(self) -> dict[str, Path]:
        with self._lock:
            paths = dict(self._added)
            folders = (*self._folders, *([self._presets] if self._presets else []))
        for folder in folders:
            paths = self._files.voices_of(folder) | paths
        return paths


def shown_voice(name: str) -> str:
    """The name to show in logs and lists: the real name of an upload gives access to it."""
    return "your own" if UPLOAD_NAME.fullmatch(name) else name


def _shown(value: str) -> str:
    """The caller's value, shortened and printable."""
    return "".join(character if character.isprintable() else "\ufffd" for character in value[:40])
