"""One revision of one repository in the hub's cache on this machine: what it has and what is missing.

Depends on the cache's folders; does not contact the hub.
"""

import hashlib
import logging
import shutil
from pathlib import Path

from huggingface_hub import try_to_load_from_cache
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.hf_api import RepoSibling

from personaplex_ui.models.personaplex.hub.partial_file import arrived_bytes
from personaplex_ui.models.personaplex.loading.checkpoint_files import (
    CONFIG,
    CheckpointFiles,
    CheckpointUnusable,
    FileNames,
    files_in,
    licence_note,
    listed,
    read_json,
)

log = logging.getLogger(__name__)

FETCH_AGAIN = "Remove it and restart to download it again."


def free_bytes(folder: Path) -> int:
    """The free space on the disk of ``folder``, which need not exist yet."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


class HubCache:
    """``folder``: the whole cache. Raises HFValidationError for an invalid repository name."""

    def __init__(self, folder: Path, repo: str, revision: str) -> None:
        self.folder = folder
        self.repo = repo
        self.revision = revision
        self._name = repo_folder_name(repo_id=repo, repo_type="model")
        self.blobs = folder / self._name / "blobs"
        try_to_load_from_cache(repo, CONFIG, folder, revision)  # checks the name

    def path_of(self, name: str, revision: str) -> Path | None:
        found = try_to_load_from_cache(self.repo, name, self.folder, revision)
        return Path(found) if isinstance(found, str) else None

    def blob_of(self, file: RepoSibling) -> Path:
        """The path of the content of ``file``, which may not exist yet."""
        return self.blobs / f"{file.lfs.sha256 if file.lfs else file.blob_id}"

    def lock_of(self, blob: Path) -> Path:
        """The lock file, with the same name as in the hub's client."""
        path = self.folder / ".locks" / self._name / f"{blob.name}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def arrived(self, files: list[RepoSibling]) -> int:
        """Bytes of ``files`` that are already there."""
        return sum(arrived_bytes(self.blob_of(file), file.size or 0) for file in files)

    def is_whole(self, file: RepoSibling, commit: str) -> bool:
        """Whether the cache has ``file``; a file of the wrong size is removed."""
        path = self.path_of(file.rfilename, commit)
        if path is None:
            return False
        if file.size is not None and path.stat().st_size != file.size:
            log.warning("%s in the cache is damaged and is fetched again.", file.rfilename)
            remove(path)
            return False
        return True

    def has_parts(self) -> bool:
        """Whether a file has been partly downloaded."""
        return any(self.blobs.glob("*.incomplete"))

    def complete(self) -> CheckpointFiles | None:
        """The checkpoint, if it is complete."""
        config_path = self.path_of(CONFIG, self.revision)
        if config_path is None:
            return None
        try:
            return files_in(config_path.parent, self.repo, licence_note(self.repo), FETCH_AGAIN)
        except CheckpointUnusable:
            return None

    def lacks(self) -> str:
        """Half a sentence: ``the cache X lacks Y of it``."""
        config_path = self.path_of(CONFIG, self.revision)
        if config_path is None:
            return f"the cache {self.folder} does not hold all of it"
        try:
            names = FileNames.from_config(read_json(config_path, FETCH_AGAIN)).in_order()
        except CheckpointUnusable:
            names = [CONFIG]
        absent = [name for name in names if not (config_path.parent / name).is_file()]
        return f"the cache {self.folder} lacks {listed(absent or names)} of it"


def remove(path: Path) -> None:
    """Remove a file of the cache: the link and its target."""
    path.resolve().unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
