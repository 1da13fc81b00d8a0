"""How large files come from the hub: over several connections at once; what its client's settings ask for.

Depends on the hub's client; not on which files a checkpoint has.
"""

import importlib
import logging
from pathlib import Path
from urllib.parse import urlsplit

from huggingface_hub import (
    constants,
    get_hf_file_metadata,  # pyright: ignore[reportUnknownVariableType]  two options are half typed
    hf_hub_url,
)
from huggingface_hub.utils._fixes import WeakFileLock
from huggingface_hub.utils._headers import (
    build_hf_headers,  # pyright: ignore[reportUnknownVariableType]  as above
)
from huggingface_hub.utils._http import hf_raise_for_status

from personaplex_ui.models.personaplex.hub.partial_file import PartialFile, discard_parts
from personaplex_ui.models.personaplex.hub.ranged_download import Location, RangedDownload, RangesUnsupported
from personaplex_ui.models.personaplex.loading.checkpoint_files import CheckpointUnusable

log = logging.getLogger(__name__)

PARALLEL_FROM_BYTES = 5_000_000
"""A smaller file comes over one connection, by the hub's client."""


def settle_transfer() -> None:
    """Heed HF_HUB_ENABLE_HF_TRANSFER if the package is there, or the hub's client refuses all downloads."""
    # After an interruption Xet begins at zero (xet-core, issues 358 and 715).
    constants.HF_HUB_DISABLE_XET = True
    if constants.HF_HUB_ENABLE_HF_TRANSFER:
        try:
            importlib.import_module("hf_transfer")
        except ImportError:
            set_transfer_aside("the package hf_transfer is not installed")


def set_transfer_aside(why: str) -> None:
    log.warning("HF_HUB_ENABLE_HF_TRANSFER is set, but %s. It is left aside; the download is parallel.", why)
    constants.HF_HUB_ENABLE_HF_TRANSFER = False


def uses_transfer() -> bool:
    return constants.HF_HUB_ENABLE_HF_TRANSFER


class HubFile:
    """One file of one commit on the hub. ``token``: None for the one this machine is signed in with."""

    def __init__(
        self, repo: str, name: str, commit: str, token: str | None, endpoint: str | None, timeout_sec: float
    ) -> None:
        self._repo = repo
        self._name = name
        self._url = hf_hub_url(repo, name, revision=commit, endpoint=endpoint)
        self._headers: dict[str, str] = build_hf_headers(token=token)
        self._token = token
        self._timeout_sec = timeout_sec
        self._etag = ""

    def fetch(self, blob: Path, size: int, lock: Path) -> None:
        """Put the file in its place in the cache, unless it cannot be fetched in parts.

        Raises:
            CheckpointUnusable: the hub has another file under this name than it had listed.
            requests.RequestException, OSError: see ``RangedDownload``.
        """
        self._etag = blob.name
        try:
            self._fetch(blob, size, lock)
        except RangesUnsupported:
            log.warning("%s cannot be fetched in parts; it comes over one connection.", self._name)
            discard_parts(blob)

    def _fetch(self, blob: Path, size: int, lock: Path) -> None:
        with WeakFileLock(lock):
            if blob.is_file():
                return  # another process has fetched it meanwhile
            with PartialFile(blob, size) as file:
                timeout = (self._timeout_sec, float(constants.HF_HUB_DOWNLOAD_TIMEOUT))
                RangedDownload(file, self._locate, hf_raise_for_status, timeout).run()
                file.finish()

    def _locate(self) -> Location:
        found = get_hf_file_metadata(self._url, token=self._token, timeout=self._timeout_sec)
        if found.etag != self._etag:
            raise CheckpointUnusable(
                f"{self._name} of {self._repo} was changed on the hub meanwhile. Start the app again."
            )
        headers = dict(self._headers)
        if urlsplit(found.location).netloc != urlsplit(self._url).netloc:
            headers.pop("authorization", None)  # where files lie, a signature in the address is enough
        return Location(found.location, headers)
