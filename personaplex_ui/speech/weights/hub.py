"""Fetches one file of the Hugging Face hub, or finds it in the hub's cache."""

import errno
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from shutil import copyfile

import httpx
from huggingface_hub import (
    constants,
    hf_hub_download,  # pyright: ignore[reportUnknownVariableType]  two options are half typed
    hf_hub_url,
    try_to_load_from_cache,
)
from huggingface_hub.utils.tqdm import (
    are_progress_bars_disabled,
    disable_progress_bars,
    enable_progress_bars,
)

from personaplex_ui.speech.weights.errors import SourceFailed
from personaplex_ui.speech.weights.manifest import HubSource

TIMEOUT_SEC = 5.0
OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)
"""The errors of a connection are OSErrors, too."""


def fetch_from_hub(source: HubSource, size: int, target: Path, scratch: Path, endpoint: str) -> None:
    """Write the file to ``target``, ``size`` bytes. ``scratch``: a folder for what the hub's client keeps.
    ``endpoint``: the hub's address, empty for the one that its client knows.

    Raises:
        SourceFailed: the hub does not have it, or cannot be asked.
        OSError: the disk failed.
    """
    cached = try_to_load_from_cache(source.repo, source.path, revision=source.revision)
    if isinstance(cached, str) and Path(cached).stat().st_size == size:
        copyfile(cached, target)
        return
    if constants.HF_HUB_OFFLINE:
        raise SourceFailed("HF_HUB_OFFLINE is set")
    ask_hub(source, size, endpoint)
    with _no_progress_bars():
        try:
            path = hf_hub_download(
                source.repo,
                source.path,
                revision=source.revision,
                local_dir=scratch,
                token=False,
                endpoint=endpoint or None,
            )
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            if isinstance(error, OSError) and error.errno in OF_THE_DISK:
                raise
            raise SourceFailed("the download from the hub failed") from error
    Path(path).replace(target)


def ask_hub(source: HubSource, size: int, endpoint: str) -> None:
    """Whether the hub at ``endpoint`` has the file, of ``size`` bytes, within 5 s: its own client would try
    for 23 s to reach a hub that is not there, and take a file of any size.

    Raises:
        SourceFailed: it does not, or cannot be asked.
    """
    address = hf_hub_url(source.repo, source.path, revision=source.revision, endpoint=endpoint or None)
    try:
        answer = httpx.head(address, timeout=TIMEOUT_SEC, headers={"Accept-Encoding": "identity"})
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, ImportError) as error:
        raise SourceFailed("the hub cannot be reached") from error
    if answer.status_code >= 400:
        missing = answer.status_code in (404, 410)
        raise SourceFailed(f"the hub {'does not have' if missing else 'refused'} {source.repo}")
    is_file = answer.status_code < 300
    length = answer.headers.get("x-linked-size") or (is_file and answer.headers.get("content-length"))
    if length and length != str(size):
        raise SourceFailed(f"the hub has another {source.path} than it should")


@contextmanager
def _no_progress_bars() -> Generator[None]:
    were_off = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if not were_off:
            enable_progress_bars()
