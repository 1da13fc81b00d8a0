"""Finds the files of a checkpoint: in a local folder, or on the Hugging Face hub by way of its cache.

Knows names and sizes; reads no weights. The environment is read by ``huggingface_hub`` alone (HF_HOME,
HF_ENDPOINT, HF_HUB_OFFLINE).
"""

import logging
import re
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
)
from huggingface_hub.errors import HFValidationError, OfflineModeIsEnabled
from huggingface_hub.hf_api import RepoSibling

from personaplex_ui.models.personaplex.hub import errors as hub_errors
from personaplex_ui.models.personaplex.hub.cache import FETCH_AGAIN, HubCache, free_bytes, remove, sha256_of
from personaplex_ui.models.personaplex.hub.progress import telling_progress
from personaplex_ui.models.personaplex.hub.transfer import (
    PARALLEL_FROM_BYTES,
    HubFile,
    set_transfer_aside,
    settle_transfer,
    uses_transfer,
)
from personaplex_ui.models.personaplex.loading.checkpoint_files import (
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
        self._cache = HubCache(hub.cache or Path(constants.HF_HUB_CACHE), repo, revision)

    def find(self, report: Report, check_config: Callable[[Config], None]) -> CheckpointFiles:
        """See ``find_checkpoint``."""
        settle_transfer()
        is_commit = re.fullmatch(r"[0-9a-f]{40}", self._revision) is not None
        files = self._cache.complete() if is_commit else None
        if files is not None:
            check_config(files.config)
            return files
        report(f"Asking the hub for {self._repo}.", 0.0)
        try:
            commit, on_hub = self._ask()
            config_path = self._fetch(CONFIG, commit)
        except CheckpointUnusable as refusal:
            files = self._cache.complete()
            if files is None:
                raise
            log.warning("%s Going on with what the cache holds.", refusal)
            check_config(files.config)
            return files
        config = read_json(config_path, FETCH_AGAIN)
        check_config(config)
        self._fetch_missing(FileNames.from_config(config), commit, on_hub, report)
        if self._cache.path_of(CONFIG, self._revision) != config_path:
            # Only now may the branch lead to this commit: without the network, it must lead to a whole one.
            self._fetch(CONFIG, self._revision)
        return files_in(config_path.parent, self._repo, licence_note(self._repo), FETCH_AGAIN)

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
        missing = [file for file in wanted if not self._cache.is_whole(file, commit)]
        to_come = sum((file.size or 0) - self._cache.arrived(file) for file in missing)
        free = self._hub.free_bytes(self._cache.folder)
        if to_come > free:
            raise CheckpointUnusable(
                f"{self._repo} needs {human_size(to_come)} more on the disk of {self._cache.folder}, which "
                f"has {human_size(free)} left. Make room there, or set HF_HOME to a folder on a larger disk."
            )
        if missing:
            total = sum(file.size or 0 for file in missing)

            def arrived() -> int:
                return sum(self._cache.arrived(file) for file in missing)

            with telling_progress(self._repo, total, arrived, report, REPORT_EVERY_SEC):
                for file in missing:
                    self._fetch_file(file, commit)

    def _fetch_file(self, file: RepoSibling, commit: str) -> None:
        """Fetch ``file``, going on where a former attempt broke off, and again as long as more arrives."""
        while True:
            before = self._cache.arrived(file)
            try:
                self._fetch_in_parallel(file, commit)
                path = self._fetch(file.rfilename, commit)
                break
            except CheckpointUnusable as error:
                broke_off = isinstance(error.__cause__, requests.RequestException)
                if not broke_off or self._cache.arrived(file) <= before:
                    raise
                log.warning("The download of %s broke off; going on with it.", file.rfilename)
        # The client compares sizes only, and part of the file may be from another time or program.
        if file.lfs is not None and sha256_of(path) != file.lfs.sha256:
            remove(path)
            raise CheckpointUnusable(
                f"{file.rfilename} of {self._repo} arrived damaged and was removed. "
                "Start the app again to fetch it anew."
            )

    def _fetch_in_parallel(self, file: RepoSibling, commit: str) -> None:
        """Put what is worth it in its place; what is not there afterwards is for the hub's client."""
        size, blob = file.size or 0, self._cache.blob_of(file)
        if file.lfs is None or size < PARALLEL_FROM_BYTES or uses_transfer() or blob.is_file():
            return
        hub = self._hub
        on_hub = HubFile(self._repo, file.rfilename, commit, hub.token, hub.endpoint, HUB_TIMEOUT_SEC)
        with self._in_words():
            on_hub.fetch(blob, size, self._cache.lock_of(blob))

    def _fetch(self, name: str, revision: str) -> Path:
        with self._in_words():
            try:
                path = self._fetch_by_client(name, revision)
            except RuntimeError:
                if not uses_transfer():
                    raise
                set_transfer_aside("hf_transfer failed")
                path = self._fetch_by_client(name, revision)
        return Path(path)

    def _fetch_by_client(self, name: str, revision: str) -> str:
        return hf_hub_download(
            self._repo,
            name,
            revision=revision,
            cache_dir=self._cache.folder,
            endpoint=self._hub.endpoint,
            token=self._hub.token,
            etag_timeout=HUB_TIMEOUT_SEC,
        )

    @contextmanager
    def _in_words(self) -> Generator[None]:
        """Turn what the hub's client raises into a sentence."""
        try:
            yield
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            cause = hub_errors.cause_of(error)
            if hub_errors.is_misfit(cause):
                self._cache.discard_all_parts()
            log.info("The hub's client raised %s.", type(cause).__name__)
            raise CheckpointUnusable(hub_errors.in_words(cause, self._asked())) from cause

    def _asked(self) -> hub_errors.Asked:
        return hub_errors.Asked(
            repo=self._repo,
            revision=self._revision,
            cache=self._cache.folder,
            has_token=bool(self._hub.token or get_token()),
            cache_lacks=self._cache.lacks(),
            has_parts=self._cache.has_parts(),
        )
