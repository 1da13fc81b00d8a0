"""Whether a checkpoint could be had now, and how much of it is still to fetch. Fetches and writes nothing.

Asks what the download would ask, and gives its sentences.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from huggingface_hub import (
    HfApi,
    constants,
    get_hf_file_metadata,  # pyright: ignore[reportUnknownVariableType]  one option is half typed
    get_token,
    hf_hub_url,
)
from huggingface_hub.errors import HFValidationError, OfflineModeIsEnabled

from personaplex_ui.models.personaplex.hub import errors
from personaplex_ui.models.personaplex.hub.cache import FETCH_AGAIN, HubCache, free_bytes
from personaplex_ui.models.personaplex.hub.download import Hub
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
    """``is_complete``: all files are here, so no hub is needed. ``config``: the path of ``config.json``, or
    empty while it is not here. ``refusal``: why the checkpoint cannot be had, with what to do.

    In bytes: ``to_come`` of ``size`` go into ``folder``, whose disk has ``free``; ``size`` is 0 when the hub
    was not asked.
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
    revision = revision or constants.DEFAULT_REVISION
    try:
        cache = HubCache(hub.cache or Path(constants.HF_HUB_CACHE), repo, revision)
    except HFValidationError:
        name = f"HF_REPO is {repo}: there is no such folder, and it is not a repository's name."
        return Survey(refusal=f"{name} Correct it.")
    config = cache.path_of(CONFIG, revision)
    here = Survey(cache.complete() is not None, str(config or ""), folder=str(cache.folder))
    if not ask_hub:
        return here
    try:
        size, to_come = _asked(cache, repo, revision, hub)
    except CheckpointUnusable as error:
        return replace(here, refusal=str(error))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        has_token = bool(hub.token or get_token())
        asked = errors.Asked(repo, revision, cache.folder, has_token, cache.lacks(), cache.has_parts())
        return replace(here, refusal=str(CheckpointUnusable(errors.in_words(error, asked))))
    return replace(here, size=size, to_come=to_come, free=free_bytes(cache.folder))


def _asked(cache: HubCache, repo: str, revision: str, hub: Hub) -> tuple[int, int]:
    """Bytes of the checkpoint, and those that the cache lacks."""
    if constants.HF_HUB_OFFLINE:
        raise OfflineModeIsEnabled
    api = HfApi(hub.endpoint)
    info = api.model_info(
        repo, revision=revision, files_metadata=True, timeout=ASKED_WITHIN_SEC, token=hub.token
    )
    # A gated repository is listed to everybody; its files are for those who have accepted the licence.
    url = hf_hub_url(repo, CONFIG, revision=info.sha, endpoint=hub.endpoint)
    get_hf_file_metadata(url, token=hub.token, timeout=ASKED_WITHIN_SEC)
    config = cache.path_of(CONFIG, revision)
    names = FileNames.from_config(read_json(config, FETCH_AGAIN) if config else {}).in_order()
    files = [file for file in info.siblings or [] if file.rfilename in (CONFIG, VOICES, *names)]
    size = sum(file.size or 0 for file in files)
    return size, size - cache.arrived(files)
