"""Unpacks the archive of preset voices, which is not trusted.

Knows which of its files are voices; not what is in one.
"""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path, PurePosixPath

from personaplex_ui.models.personaplex.loading.checkpoint_files import CheckpointUnusable, human_size
from personaplex_ui.tar.extract import Limits, extract_tar
from personaplex_ui.tar.headers import ArchiveDamaged, ArchiveTooLarge, ArchiveUnusable
from personaplex_ui.voices.folder import SUFFIXES
from personaplex_ui.voices.names import trouble_with_name

MAX_MEMBERS = 500
MAX_FILE_BYTES = 64_000_000
MAX_TOTAL_BYTES = 1_000_000_000
"""Generous: a preset of the 7B model has some 0.5 MB, and there are 18."""


def unpack_voices(archive: Path, folder: Path) -> Path:
    """The voices of ``archive`` as files of one folder within ``folder``; unpacked once for each content.

    Raises:
        CheckpointUnusable: the archive is damaged or holds what it should not, or the disk is full.
    """
    try:
        with archive.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()[:16]
        unpacked = folder / digest
        if unpacked.is_dir():
            return unpacked
        folder.mkdir(parents=True, exist_ok=True)
        # Beside its place, then moved: what is interrupted is never taken for whole.
        part = Path(tempfile.mkdtemp(prefix="part-", dir=folder))
        try:
            extract_tar(archive, part, Limits(MAX_MEMBERS, MAX_FILE_BYTES, MAX_TOTAL_BYTES), _voice_file)
            part.chmod(0o755)
            os.replace(part, unpacked)
        except OSError:
            if not unpacked.is_dir():  # another process may have been faster
                raise
        finally:
            shutil.rmtree(part, ignore_errors=True)
        return unpacked
    except ArchiveDamaged as error:
        raise _refusal(archive, "is damaged or no gzipped tar file") from error
    except ArchiveTooLarge as error:
        size = f": {error.name!r} has {human_size(error.size)}" if error.name else ""
        raise _refusal(archive, f"holds too much{size}") from error
    except ArchiveUnusable as error:
        raise _refusal(archive, str(error)) from error
    except OSError as error:
        raise CheckpointUnusable(
            f"{archive.name} cannot be unpacked into {folder} ({error.strerror}). Make room there and allow "
            "this app to write."
        ) from error


def _voice_file(path: PurePosixPath) -> str | None:
    """Voices lie in one folder, whatever folders they come in; other files are left out."""
    is_voice = path.suffix.lower() in SUFFIXES and not trouble_with_name(path.stem)
    return path.name if is_voice else None


def _refusal(archive: Path, why: str) -> CheckpointUnusable:
    return CheckpointUnusable(
        f"{archive.name} {why}, so its voices are not used. Remove {archive.resolve()} and start the app "
        "again to fetch it anew, or copy it again."
    )
