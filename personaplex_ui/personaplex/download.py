"""Finds the files of a checkpoint: in a local folder, or on the Hugging Face hub by way of its cache.

Knows names and sizes; reads no weights. The environment is read by ``huggingface_hub`` alone (HF_HOME,
HF_ENDPOINT, HF_HUB_OFFLINE).
"""

import hashlib
import logging
import re
import shutil
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import requests
from huggingface_hub import (
    HfApi,
    constants,
    get_token,
    hf_hub_download,  # pyright: ignore[reportUnknownVariableType]  two options are half typed
    try_to_load_from_cache,
)
from huggingface_hub.errors import HFValidationError, OfflineModeIsEnabled
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.hf_api import RepoSibling

from personaplex_ui.personaplex import hub_errors
from personaplex_ui.personaplex.checkpoint_files import (
    CONFIG,
    VOICES,
    CheckpointFiles,
    CheckpointUnusable,
    Config,
    FileNames,
    Report,
    files_in,
    human_size,
    licence_note,
    listed,
    read_json,
)

log = logging.getLogger(__name__)

HUB_TIMEOUT_SEC = 10.0
REPORT_EVERY_SEC = 1.0

_FETCH_AGAIN = "Remove it and start the app again, so that it is fetched anew."


def free_bytes(folder: Path) -> int:
    """What the disk of ``folder``, which need not exist yet, has left."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


@dataclass(frozen=True, slots=True)
class Hub:
    """How the hub is reached, by default as the environment says.

    ``token`` None: the one this machine is signed in with, if any.
    """

    token: str | None = field(default=None, repr=False)
    endpoint: str | None = None
    cache: Path | None = None
    free_bytes: Callable[[Path], int] = free_bytes


def find_checkpoint(
    repo: str,
    revision: str | None,
    hub: Hub,
    report: Report,
    check_config: Callable[[Config], None] = lambda config: None,
) -> CheckpointFiles:
    """The files of ``repo``, a hub id or a local folder; what the cache lacks is fetched.

    Blocks for as long as the download takes; meanwhile another thread calls ``report``, never two at once.
    ``check_config`` is called before anything large is fetched, and may raise. Where the hub cannot be asked
    or refuses, a complete cache is enough.

    Raises:
        CheckpointUnusable: with what is wrong and what to do next.
    """
    folder = Path(repo).expanduser()
    if folder.is_dir():
        remedy = "Copy the files of the whole repository there, or set HF_REPO to its name on the hub."
        note = "The licence of these weights is that of the place they were taken from."
        files = files_in(folder, repo, note, remedy)
        check_config(files.config)
        return files
    try:
        repository = _Repository(repo, revision or constants.DEFAULT_REVISION, hub)
    except HFValidationError as error:
        raise CheckpointUnusable(
            f"HF_REPO is {repo}: there is no such folder, and it is no repository's name, as in owner/name. "
            "Correct it."
        ) from error
    return repository.find(report, check_config)


class _Repository:
    """One revision of one repository: what the hub has of it, and what the cache has.

    Raises HFValidationError for what cannot be a repository's name.
    """

    def __init__(self, repo: str, revision: str, hub: Hub) -> None:
        self._repo = repo
        self._revision = revision
        self._hub = hub
        self._cache = hub.cache or Path(constants.HF_HUB_CACHE)
        self._blobs = self._cache / repo_folder_name(repo_id=repo, repo_type="model") / "blobs"

    def find(self, report: Report, check_config: Callable[[Config], None]) -> CheckpointFiles:
        """See ``find_checkpoint``."""
        is_commit = re.fullmatch(r"[0-9a-f]{40}", self._revision) is not None
        files = self._complete_in_cache() if is_commit else None
        if files is not None:
            check_config(files.config)
            return files
        report(f"Asking the hub for {self._repo}.", 0.0)
        try:
            commit, on_hub = self._ask()
            config_path = self._fetch(CONFIG, commit)
        except CheckpointUnusable as refusal:
            files = self._complete_in_cache()
            if files is None:
                raise
            log.warning("%s Going on with what the cache holds.", refusal)
            check_config(files.config)
            return files
        config = read_json(config_path, _FETCH_AGAIN)
        check_config(config)
        self._fetch_missing(FileNames.from_config(config), commit, on_hub, report)
        if self._cached(CONFIG, self._revision) != config_path:
            # Only now may the branch lead to this commit: without the network, it must lead to a whole one.
            self._fetch(CONFIG, self._revision)
        return files_in(config_path.parent, self._repo, licence_note(self._repo), _FETCH_AGAIN)

    # The hub

    def _ask(self) -> tuple[str, dict[str, RepoSibling]]:
        """The commit of the revision, and its files by name."""
        with self._in_words():
            if constants.HF_HUB_OFFLINE:
                raise OfflineModeIsEnabled
            info = HfApi(self._hub.endpoint).model_info(
                self._repo,
                revision=self._revision,
                files_metadata=True,
                timeout=HUB_TIMEOUT_SEC,
                token=self._hub.token,
            )
        on_hub = {file.rfilename: file for file in info.siblings or []}
        self._demand([CONFIG], on_hub)
        assert info.sha is not None, "the hub names the commit of every revision"
        return info.sha, on_hub

    def _demand(self, names: list[str], on_hub: dict[str, RepoSibling]) -> None:
        absent = [name for name in names if name not in on_hub]
        if absent:
            raise CheckpointUnusable(
                f"{self._repo} lacks {listed(absent)}, so it is no checkpoint of PersonaPlex. "
                "Correct HF_REPO."
            )

    def _fetch_missing(
        self, names: FileNames, commit: str, on_hub: dict[str, RepoSibling], report: Report
    ) -> None:
        self._demand(names.in_order(), on_hub)
        wanted = [on_hub[name] for name in [VOICES, *names.in_order()] if name in on_hub]
        missing = [file for file in wanted if not self._is_whole(file, commit)]
        to_come = sum((file.size or 0) - self._arrived(file) for file in missing)
        free = self._hub.free_bytes(self._cache)
        if to_come > free:
            raise CheckpointUnusable(
                f"{self._repo} needs {human_size(to_come)} more on the disk of {self._cache}, which has "
                f"{human_size(free)} left. Make room there, or set HF_HOME to a folder on a larger disk."
            )
        if missing:
            with self._telling_progress(missing, report):
                for file in missing:
                    self._fetch_file(file, commit)

    def _fetch_file(self, file: RepoSibling, commit: str) -> None:
        """Fetch ``file``, going on where a former attempt broke off, and again as long as more arrives."""
        while True:
            before = self._arrived(file)
            try:
                path = self._fetch(file.rfilename, commit)
                break
            except CheckpointUnusable as error:
                broke_off = isinstance(error.__cause__, requests.RequestException)
                if not broke_off or self._arrived(file) <= before:
                    raise
                log.warning("The download of %s broke off; going on with it.", file.rfilename)
        # The client compares sizes only, and part of the file may be from another time or program.
        if file.lfs is not None and _sha256(path) != file.lfs.sha256:
            _remove(path)
            raise CheckpointUnusable(
                f"{file.rfilename} of {self._repo} arrived damaged and was removed. "
                "Start the app again to fetch it anew."
            )

    def _fetch(self, name: str, revision: str) -> Path:
        # After an interruption Xet begins at zero (xet-core, issue 358); plain HTTP goes on where it was.
        constants.HF_HUB_DISABLE_XET = True
        with self._in_words():
            path = hf_hub_download(
                self._repo,
                name,
                revision=revision,
                cache_dir=self._cache,
                endpoint=self._hub.endpoint,
                token=self._hub.token,
                etag_timeout=HUB_TIMEOUT_SEC,
            )
        return Path(path)

    @contextmanager
    def _in_words(self) -> Generator[None]:
        """Turn what the hub's client raises into a sentence."""
        try:
            yield
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            cause = hub_errors.cause_of(error)
            if hub_errors.is_misfit(cause):
                for part in self._blobs.glob("*.incomplete"):
                    part.unlink(missing_ok=True)
            log.info("The hub's client raised %s.", type(cause).__name__)
            raise CheckpointUnusable(hub_errors.in_words(cause, self._asked())) from cause

    def _asked(self) -> hub_errors.Asked:
        return hub_errors.Asked(
            repo=self._repo,
            revision=self._revision,
            cache=self._cache,
            has_token=bool(self._hub.token or get_token()),
            cache_lacks=self._cache_lacks(),
            has_parts=any(self._blobs.glob("*.incomplete")),
        )

    # The cache

    def _cached(self, name: str, revision: str) -> Path | None:
        found = try_to_load_from_cache(self._repo, name, self._cache, revision)
        return Path(found) if isinstance(found, str) else None

    def _is_whole(self, file: RepoSibling, commit: str) -> bool:
        """Whether the cache has ``file``; one of another size than the hub's is removed."""
        path = self._cached(file.rfilename, commit)
        if path is None:
            return False
        if file.size is not None and path.stat().st_size != file.size:
            log.warning("%s in the cache is damaged and is fetched again.", file.rfilename)
            _remove(path)
            return False
        return True

    def _arrived(self, file: RepoSibling) -> int:
        """Bytes of ``file`` that need not be fetched any more."""
        name = file.lfs.sha256 if file.lfs else file.blob_id
        for blob in (self._blobs / f"{name}", self._blobs / f"{name}.incomplete"):
            if blob.is_file():
                return min(blob.stat().st_size, file.size or 0)
        return 0

    def _complete_in_cache(self) -> CheckpointFiles | None:
        config_path = self._cached(CONFIG, self._revision)
        if config_path is None:
            return None
        try:
            return files_in(config_path.parent, self._repo, licence_note(self._repo), _FETCH_AGAIN)
        except CheckpointUnusable:
            return None

    def _cache_lacks(self) -> str:
        config_path = self._cached(CONFIG, self._revision)
        if config_path is None:
            return f"the cache {self._cache} does not hold all of it"
        try:
            names = FileNames.from_config(read_json(config_path, _FETCH_AGAIN)).in_order()
        except CheckpointUnusable:
            names = [CONFIG]
        absent = [name for name in names if not (config_path.parent / name).is_file()]
        return f"the cache {self._cache} lacks {listed(absent or names)} of it"

    @contextmanager
    def _telling_progress(self, files: list[RepoSibling], report: Report) -> Generator[None]:
        total = sum(file.size or 0 for file in files)
        told = -1
        done = threading.Event()

        def tell() -> None:
            nonlocal told
            arrived = sum(self._arrived(file) for file in files)
            if arrived != told:
                megabytes = f"{arrived / 1e6:,.0f} of {total / 1e6:,.0f} MB"
                report(f"Downloading {self._repo}: {megabytes}.", arrived / total if total else 1.0)
            told = arrived

        def watch() -> None:
            while not done.wait(REPORT_EVERY_SEC):
                tell()

        tell()
        watcher = threading.Thread(target=watch, name="download-progress", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()
        tell()


def _remove(path: Path) -> None:
    """Remove a file of the cache: the link and what it leads to."""
    path.resolve().unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
