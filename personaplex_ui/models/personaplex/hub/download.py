"""Finds the files of a checkpoint: in a local folder, or on the Hugging Face hub through its cache.

Depends on names and sizes, not on the weights. Only ``huggingface_hub`` reads the environment (HF_HOME,
HF_ENDPOINT, HF_HUB_OFFLINE). Large files are downloaded over several connections; all others, and the links
of the cache, are left to the hub's client.
"""

import importlib
import logging
import re
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from huggingface_hub import (
    HfApi,
    constants,
    get_hf_file_metadata,  # pyright: ignore[reportUnknownVariableType]  two options are half typed
    get_token,
    hf_hub_download,  # pyright: ignore[reportUnknownVariableType]  as above
    hf_hub_url,
)
from huggingface_hub.errors import HFValidationError, OfflineModeIsEnabled
from huggingface_hub.hf_api import RepoSibling
from huggingface_hub.utils._fixes import WeakFileLock
from huggingface_hub.utils._headers import (
    build_hf_headers,  # pyright: ignore[reportUnknownVariableType]  as above
)

from personaplex_ui.models.personaplex.hub import errors as hub_errors
from personaplex_ui.models.personaplex.hub.cache import FETCH_AGAIN, HubCache, free_bytes, remove, sha256_of
from personaplex_ui.models.personaplex.hub.partial_file import PartialFile, discard_all_parts, discard_parts
from personaplex_ui.models.personaplex.hub.ranged_download import Location, RangedDownload, RangesUnsupported
from personaplex_ui.models.personaplex.loading.checkpoint_files import (
    CONFIG,
    HF_REPO,
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
    """How to reach the hub; the environment sets the defaults.

    ``token``: None for the token this machine is signed in with, if any.
    """

    token: str | None = field(default=None, repr=False)
    endpoint: str | None = None
    cache: Path | None = None


def find_checkpoint(
    repo: str,
    revision: str | None,
    hub: Hub,
    report: Report,
    check_config: Callable[[Config], object] = lambda config: None,
) -> CheckpointFiles:
    """The files of ``repo``, a hub id or a local folder; missing files are downloaded.

    Blocks for as long as the download takes; meanwhile another thread calls ``report``, never two at once.
    ``check_config`` is called before anything large is fetched, and may raise. Where the hub cannot be asked
    or refuses, a complete cache is enough.

    Raises:
        CheckpointUnusable: the message says what is wrong and what to do next.
    """
    folder = Path(repo).expanduser()
    if folder.is_dir():
        remedy = f"Copy the files of the whole repository there, or set {HF_REPO} to its name on the hub."
        note = "The licence of these weights is that of the place they were taken from."
        files = files_in(folder, repo, note, remedy)
        check_config(files.config)
        return files
    try:
        repository = Repository(repo, revision, hub)
    except HFValidationError as error:
        raise CheckpointUnusable(
            f"{HF_REPO} is {repo}: there is no such folder, and it is not a repository's name, as in "
            "owner/name. Correct it."
        ) from error
    return repository.find(report, check_config)


class Repository:
    """One revision of one repository, on the hub and in ``cache``.

    Raises HFValidationError for an invalid repository name.
    """

    def __init__(self, repo: str, revision: str | None, hub: Hub) -> None:
        self._hub = hub
        folder = hub.cache or Path(constants.HF_HUB_CACHE)
        self.cache = HubCache(folder, repo, revision or constants.DEFAULT_REVISION)

    def find(self, report: Report, check_config: Callable[[Config], object]) -> CheckpointFiles:
        """See ``find_checkpoint``."""
        # Xet restarts from zero after an interruption (xet-core, issues 358 and 715).
        constants.HF_HUB_DISABLE_XET = True
        if constants.HF_HUB_ENABLE_HF_TRANSFER:
            try:
                importlib.import_module("hf_transfer")
            except ImportError:
                _set_transfer_aside("the package hf_transfer is not installed")
        is_commit = re.fullmatch(r"[0-9a-f]{40}", self.cache.revision) is not None
        files = self.cache.complete() if is_commit else None
        if files is not None:
            check_config(files.config)
            return files
        report(f"Asking the hub for {self.cache.repo}.", 0.0)
        try:
            commit, on_hub = self.ask(HUB_TIMEOUT_SEC)
            config_path = self._fetch(CONFIG, commit)
        except CheckpointUnusable as refusal:
            files = self.cache.complete()
            if files is None:
                raise
            log.warning("%s Going on with what the cache holds.", refusal)
            check_config(files.config)
            return files
        config = read_json(config_path, FETCH_AGAIN)
        check_config(config)
        self._fetch_missing(FileNames.from_config(config), commit, on_hub, report)
        if self.cache.path_of(CONFIG, self.cache.revision) != config_path:
            # Only now may the branch point to this commit: offline, it must point to a complete one.
            self._fetch(CONFIG, self.cache.revision)
        return files_in(config_path.parent, self.cache.repo, licence_note(self.cache.repo), FETCH_AGAIN)

    # The hub

    def ask(self, timeout_sec: float) -> tuple[str, dict[str, RepoSibling]]:
        """The commit of the revision, and its files by name."""
        with self.in_words():
            if constants.HF_HUB_OFFLINE:
                raise OfflineModeIsEnabled
            info = HfApi(self._hub.endpoint).model_info(
                self.cache.repo,
                revision=self.cache.revision,
                files_metadata=True,
                timeout=timeout_sec,
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
                f"{self.cache.repo} lacks {listed(absent)}, so it is not a checkpoint of PersonaPlex. "
                f"Correct {HF_REPO}."
            )

    def _fetch_missing(
        self, names: FileNames, commit: str, on_hub: dict[str, RepoSibling], report: Report
    ) -> None:
        self._demand(names.in_order(), on_hub)
        wanted = [on_hub[name] for name in [VOICES, *names.in_order()] if name in on_hub]
        missing = [file for file in wanted if not self.cache.is_whole(file, commit)]
        if not missing:
            return
        total = sum(file.size or 0 for file in missing)
        to_come, free = total - self.cache.arrived(missing), free_bytes(self.cache.folder)
        if to_come > free:
            raise CheckpointUnusable(
                f"{self.cache.repo} needs {human_size(to_come)} more on the disk of {self.cache.folder}, "
                f"which has {human_size(free)} left. Make room there, or set HF_HOME to a folder on a larger "
                "disk."
            )

        def tell() -> None:
            arrived = self.cache.arrived(missing)
            megabytes = f"{arrived / 1e6:,.0f} of {total / 1e6:,.0f} MB"
            report(f"Downloading {self.cache.repo}: {megabytes}.", arrived / total if total else 1.0)

        with _repeated(tell, REPORT_EVERY_SEC):
            for file in missing:
                self._fetch_file(file, commit)

    def _fetch_file(self, file: RepoSibling, commit: str) -> None:
        """Download ``file``, resuming an earlier attempt."""
        blob = self.cache.blob_of(file)
        if file.lfs is not None and not constants.HF_HUB_ENABLE_HF_TRANSFER and not blob.is_file():
            with self.in_words():
                self._fetch_in_parts(file, blob, commit)
        path = self._fetch(file.rfilename, commit)
        # The client compares only sizes, and part of the file may come from another run or program.
        if file.lfs is not None and sha256_of(path) != file.lfs.sha256:
            remove(path)
            raise CheckpointUnusable(
                f"{file.rfilename} of {self.cache.repo} arrived damaged and was removed. "
                "Restart to download it again."
            )

    def _fetch_in_parts(self, file: RepoSibling, blob: Path, commit: str) -> None:
        """Download ``file`` into the cache in parts, unless the server sends only whole files."""
        name, token = file.rfilename, self._hub.token
        url = hf_hub_url(self.cache.repo, name, revision=commit, endpoint=self._hub.endpoint)

        def locate() -> Location:
            found = get_hf_file_metadata(url, token=token, timeout=HUB_TIMEOUT_SEC)
            if found.etag != blob.name:
                raise CheckpointUnusable(
                    f"{name} of {self.cache.repo} was changed on the hub in the meantime. Restart."
                )
            headers: dict[str, str] = build_hf_headers(token=token)
            if urlsplit(found.location).netloc != urlsplit(url).netloc:
                headers.pop("authorization", None)  # the storage server needs only the signature in the URL
            return Location(found.location, headers)

        timeout = (HUB_TIMEOUT_SEC, float(constants.HF_HUB_DOWNLOAD_TIMEOUT))
        with WeakFileLock(self.cache.lock_of(blob)):
            if blob.is_file():
                return  # another process has fetched it meanwhile
            try:
                with PartialFile(blob, file.size or 0) as partial:
                    RangedDownload(partial, locate, timeout).run()
                    partial.finish()
            except RangesUnsupported:
                log.warning("%s cannot be fetched in parts; it comes over one connection.", name)
                discard_parts(blob)

    def _fetch(self, name: str, revision: str) -> Path:
        """Download with the hub's client."""

        def fetch() -> str:
            return hf_hub_download(
                self.cache.repo,
                name,
                revision=revision,
                cache_dir=self.cache.folder,
                endpoint=self._hub.endpoint,
                token=self._hub.token,
                etag_timeout=HUB_TIMEOUT_SEC,
            )

        with self.in_words():
            try:
                return Path(fetch())
            except RuntimeError:
                if not constants.HF_HUB_ENABLE_HF_TRANSFER:
                    raise
                _set_transfer_aside("hf_transfer failed")
                return Path(fetch())

    @contextmanager
    def in_words(self) -> Generator[None]:
        """Turn exceptions of the hub's client into a sentence."""
        try:
            yield
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            cause = hub_errors.cause_of(error)
            if hub_errors.is_misfit(cause):
                discard_all_parts(self.cache.blobs)
            log.info("The hub's client raised %s.", type(cause).__name__)
            has_token = bool(self._hub.token or get_token())
            raise CheckpointUnusable(hub_errors.in_words(cause, self.cache, has_token)) from cause


def _set_transfer_aside(why: str) -> None:
    log.warning("HF_HUB_ENABLE_HF_TRANSFER is set, but %s. It is ignored; the download is parallel.", why)
    constants.HF_HUB_ENABLE_HF_TRANSFER = False


@contextmanager
def _repeated(action: Callable[[], None], every_sec: float) -> Generator[None]:
    """Call ``action`` at the beginning, at the end, and from a thread in between."""
    done = threading.Event()

    def repeat() -> None:
        while not done.wait(every_sec):
            action()

    action()
    thread = threading.Thread(target=repeat, name="download-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    action()
