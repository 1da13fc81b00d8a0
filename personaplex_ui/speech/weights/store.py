"""The folder of weights: what is missing there is fetched, what is there is checked.

Knows the order of sources and the folder, not what the weights are for.
"""

import logging
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from personaplex_ui.speech.weights.checking import is_whole
from personaplex_ui.speech.weights.errors import SourceFailed, WeightsMissing, folder_trouble
from personaplex_ui.speech.weights.fetching import Fetching
from personaplex_ui.speech.weights.manifest import Manifest, WeightFile, read_manifest
from personaplex_ui.speech.weights.registries import Registries

log = logging.getLogger(__name__)

Report = Callable[[str, float], None]
"""Called with a sentence and the fraction that is done, 0 to 1."""

LOCK = ".lock"
SCRATCH = ".fetching-"
LOOK_EVERY_SEC = 1.0
PATIENCE_SEC = 3_600.0
"""How long to wait for another process that fetches."""

COMMAND = "python -m personaplex_ui.speech.weights"


def default_folder() -> Path:
    """Where weights are kept unless somebody chose another folder.

    Raises:
        WeightsMissing: this user has no home folder.
    """
    try:
        return Path.home() / ".cache" / "personaplex-ui" / "weights"
    except RuntimeError as error:
        raise WeightsMissing("This user has no home folder. Name a folder for the weights.") from error


class WeightStore:
    """Weights in ``folder``. Any thread; two threads or processes fetch a file once.

    ``report`` is called by the thread that calls ``path_of``, while it fetches. ``called``: what sentences
    call the folder, where strangers may read them; else its path.
    """

    def __init__(
        self,
        folder: Path,
        report: Report,
        manifest: Manifest | None = None,
        registries: Registries | None = None,
        patience_sec: float = PATIENCE_SEC,
        called: str = "",
    ) -> None:
        self.folder = folder
        self.manifest = manifest or read_manifest()
        self._report = report
        self._registries = registries or Registries()
        self._patience_sec = patience_sec
        self._called = called or str(folder)
        self._command = COMMAND if called else f"{COMMAND} --folder {folder}"

    def path_of(self, name: str) -> Path:
        """The file ``name``, or the folder that holds all files below ``name``, as in ``whisper-tiny.en`` and
        ``whisper-tiny.en/model.bin``. Its content is checked, 0.3 s for 100 MB. Blocks while it is fetched.

        Raises:
            WeightsMissing: it is missing or altered and could not be fetched.
        """
        files = self.manifest.below(name)
        if not files:
            raise WeightsMissing(f"There are no weights called {name[:100]!r}. Correct the name.")
        try:
            missing = self._missing(files)
            if missing:
                self._fetch_once(missing, name)
        except OSError as error:
            raise folder_trouble(error, self._called) from error
        return self.folder / name

    def names(self) -> list[str]:
        """What ``path_of`` can be asked for: the first part of each file's name."""
        return list(dict.fromkeys(file.name.partition("/")[0] for file in self.manifest.files))

    def _missing(self, files: Sequence[WeightFile]) -> list[WeightFile]:
        return [file for file in files if not is_whole(self.folder / file.name, file)]

    def _fetch_once(self, files: Sequence[WeightFile], name: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / LOCK, timeout=LOOK_EVERY_SEC)
        waited_sec = 0.0
        while True:
            try:
                lock.acquire()
                break
            except Timeout:
                waited_sec += LOOK_EVERY_SEC
                self._report(f"Another process fetches weights; waiting for it to get to {name}.", 0.0)
                if waited_sec >= self._patience_sec:
                    raise WeightsMissing(
                        f"Another process has been fetching weights to {self._called} for too long. End it, "
                        "then start again."
                    ) from None
        try:
            missing = self._missing(files)
            if missing:
                self._fetch(missing, name)
        finally:
            lock.release()

    def _fetch(self, files: Sequence[WeightFile], name: str) -> None:
        altered = [file.name for file in files if (self.folder / file.name).exists()]
        for each in altered:
            log.warning("%s is not what it should be; it is fetched again.", each)
        for left_by_a_killed_process in self.folder.glob(f"{SCRATCH}*"):
            shutil.rmtree(left_by_a_killed_process, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=self.folder) as scratch:
            fetching = Fetching(self.manifest, self._registries, Path(scratch), self._report)
            fetching.check_room(files, self._called)
            for file in files:
                try:
                    arrived = fetching.fetch(file)
                except SourceFailed as error:
                    raise self._sentence(name, altered, error) from error
                place = self.folder / file.name
                place.parent.mkdir(parents=True, exist_ok=True)
                if place.is_dir():
                    shutil.rmtree(place)
                arrived.replace(place)
        self._report(f"The weights {name} are here.", 1.0)

    def _sentence(self, name: str, altered: Sequence[str], error: SourceFailed) -> WeightsMissing:
        what = f"The weights {name} are missing"
        if altered:
            what = f"The file {altered[0]} in {self._called} was altered"
        return WeightsMissing(
            f"{what}, and could not be fetched: {error}. Connect this machine once and run "
            f"{self._command}, or copy that folder from a machine that has them."
        )
