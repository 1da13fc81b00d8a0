"""Unpacks the archive of preset voices. It is not trusted: names, kinds and sizes are checked before a byte
is written, and nothing of it decides where that is.

Knows tar files; not what is in a voice.
"""

import gzip
import hashlib
import os
import shutil
import tarfile
import tempfile
import zlib
from pathlib import Path, PurePosixPath

from personaplex_ui.personaplex.checkpoint_files import CheckpointUnusable, human_size
from personaplex_ui.voices.library import SUFFIXES, VOICE_NAME

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
            _extract(archive, part)
            part.chmod(0o755)
            os.replace(part, unpacked)
        except OSError:
            if not unpacked.is_dir():  # another process may have been faster
                raise
        finally:
            shutil.rmtree(part, ignore_errors=True)
        return unpacked
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _refusal(archive, "is damaged or no gzipped tar file") from error
    except OSError as error:
        raise CheckpointUnusable(
            f"{archive.name} cannot be unpacked into {folder} ({error.strerror}). Make room there and allow "
            "this app to write."
        ) from error


def _extract(archive: Path, folder: Path) -> None:
    total = 0
    with tarfile.open(archive, "r:gz") as tar:
        for count, member in enumerate(tar, start=1):
            if count > MAX_MEMBERS:
                raise _refusal(archive, f"holds more than {MAX_MEMBERS} files")
            if _escapes(member, folder):
                raise _refusal(archive, f"holds {member.name!r}, which leads out of its folder")
            if member.isdir():
                continue
            if not member.isreg():
                raise _refusal(archive, f"holds {member.name!r}, which is a link or a device")
            total += member.size
            if member.size > MAX_FILE_BYTES or total > MAX_TOTAL_BYTES:
                raise _refusal(archive, f"holds too much: {member.name!r} has {human_size(member.size)}")
            name = PurePosixPath(member.name)
            if name.suffix.lower() not in SUFFIXES or not VOICE_NAME.fullmatch(name.name):
                continue
            content = tar.extractfile(member)
            assert content is not None, "a regular file has content"
            with content, (folder / name.name).open("wb") as target:
                shutil.copyfileobj(content, target)


def _escapes(member: tarfile.TarInfo, folder: Path) -> bool:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or "\\" in member.name:
        return True
    try:
        tarfile.data_filter(member, str(folder))
    except tarfile.FilterError:
        return not (member.issym() or member.islnk() or member.isdev())  # said of those in other words
    return False


def _refusal(archive: Path, why: str) -> CheckpointUnusable:
    return CheckpointUnusable(
        f"{archive.name} {why}, so its voices are not used. Remove {archive.resolve()} and start the app "
        "again to fetch it anew, or copy it again."
    )
