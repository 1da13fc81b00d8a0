"""Checks whether a checkpoint is available now, and how much of it is missing. Downloads nothing.

Sends the same requests as the download, and reports the same sentences.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from huggingface_hub import (
    get_hf_file_metadata,  # pyright: ignore[reportUnknownVariableType]  one option is half typed
    hf_hub_url,
)
from huggingface_hub.errors import HFValidationError

from personaplex_ui.models.personaplex.hub.cache import FETCH_AGAIN, free_bytes
from personaplex_ui.models.personaplex.hub.download import Hub, Repository
from personaplex_ui.models.personaplex.loading.checkpoint_files import (
    CONFIG,
    VOICES,
    CheckpointUnusable,
    FileNames,
    files_in,
    read_json,
)

ASKED_WITHIN_SEC = 5.0


@dataclass(frozen=True, slots=True)
class Survey:
    """``is_complete``: all files are here, so the hub is not needed. ``config``: the path of ``config.json``,
    or empty if it is missing. ``refusal``: why the checkpoint is unavailable, and what to do.

    In bytes: ``to_come`` of ``size`` are still to be downloaded into ``folder``, whose disk has ``free``
    left; ``size`` is 0 if the hub was not asked.
    """

    is_complete: bool = False
    config: str = ""
    size: int = 0
    to_come: int = 0
    free: int = 0
    folder: str = ""
    refusal: str = ""


def survey(repo: str, revision: str | None, hub: Hub, ask_hub: bool = True) -> Survey:
    """``repo``: a folder or a name on the hub. Blocks for at most some 10 s."""
    folder = Path(repo).expanduser()
    if folder.is_dir():
        try:
            files_in(folder, repo, "", "Copy the files of the whole repository there.")
        except CheckpointUnusable as error:
            return Survey(folder=str(folder), refusal=str(error))
        return Survey(is_complete=True, config=str(folder / CONFIG), folder=str(folder))
    try:
        repository = Repository(repo, revision, hub)
    except HFValidationError:
        return Survey(
            refusal=f"HF_REPO is {repo}: there is no such folder, and it is not a repository's name."
        )
    cache = repository.cache
    config = cache.path_of(CONFIG, cache.revision)
    here = Survey(cache.complete() is not None, str(config or ""), folder=str(cache.folder))
    if not ask_hub:
        return here
    try:
        commit, on_hub = repository.ask(ASKED_WITHIN_SEC)
        with repository.in_words():
            # Everybody can list a gated repository, but its files need an accepted licence.
            url = hf_hub_url(repo, CONFIG, revision=commit, endpoint=hub.endpoint)
            get_hf_file_metadata(url, token=hub.token, timeout=ASKED_WITHIN_SEC)
        names = FileNames.from_config(read_json(config, FETCH_AGAIN) if config else {}).in_order()
    except CheckpointUnusable as error:
        return replace(here, refusal=str(error))
    files = [on_hub[name] for name in (CONFIG, VOICES, *names) if name in on_hub]
    size = sum(file.size or 0 for file in files)
    return replace(here, size=size, to_come=size - cache.arrived(files), free=free_bytes(cache.folder))
