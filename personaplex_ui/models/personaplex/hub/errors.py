"""Explains the exceptions of the hub's client: one sentence for each failure, with the next step.

Depends on exceptions and status codes; does not contact the hub. The exceptions' own messages are never
shown, because they may contain signed URLs.
"""

import errno

import requests
from huggingface_hub.errors import (
    FileMetadataError,
    GatedRepoError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from personaplex_ui.errors import setting
from personaplex_ui.models.personaplex.hub.cache import HubCache
from personaplex_ui.models.personaplex.loading.checkpoint_files import HF_REPO

TOKENS_PAGE = "https://huggingface.co/settings/tokens"


def cause_of(error: Exception) -> BaseException:
    """The cause of an error that only says that a file is not in the cache."""
    return (error.__cause__ or error) if isinstance(error, LocalEntryNotFoundError) else error


def is_misfit(error: BaseException) -> bool:
    """Whether the downloaded part is not the file's beginning, so that resuming cannot work."""
    return (isinstance(error, requests.HTTPError) and _status(error) == 416) or (
        type(error) is OSError and "Consistency check failed" in str(error)
    )


def in_words(error: BaseException, cache: HubCache, has_token: bool) -> str:
    """What went wrong with the download into ``cache``, and what to do next."""
    if isinstance(error, requests.HTTPError):
        is_about_access = _is_about_access(error)
        return _not_given(error, cache, has_token) if is_about_access else _refused(error, cache)
    if isinstance(error, requests.RequestException):
        return _unreachable(error, cache)
    match error:
        case _ if is_misfit(error):
            return (
                f"A file of {cache.repo} did not arrive as announced and was removed. Start again to "
                "fetch it again; if that fails too, check the proxy and HF_ENDPOINT, if they are set."
            )
        case OfflineModeIsEnabled():
            return (
                f"HF_HUB_OFFLINE is set, but {cache.lacks()}. Unset it once, and TRANSFORMERS_OFFLINE, "
                "so that it is fetched."
            )
        case FileMetadataError() | ValueError() | KeyError() | TypeError() | RuntimeError():
            return _no_hub()
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return (
                f"The disk of {cache.folder} is full. Make room there, or set HF_HOME to a folder on a "
                "larger disk, and start again: the download goes on from where it was."
            )
        case OSError(errno=errno.EACCES | errno.EROFS | errno.EPERM):
            return f"{cache.folder} cannot be written. Allow that, or set HF_HOME to a folder that can be."
        case _:
            return f"Fetching {cache.repo} failed; the log says why. Start again."


def _status(error: requests.HTTPError) -> int:
    return error.response.status_code if error.response is not None else 0


def _is_about_access(error: requests.HTTPError) -> bool:
    """Whether the name or the access rights are wrong."""
    # GatedRepoError is a RepositoryNotFoundError.
    unknown = isinstance(error, RepositoryNotFoundError | RevisionNotFoundError)
    return unknown or _status(error) in (401, 403)


def _not_given(error: requests.HTTPError, cache: HubCache, has_token: bool) -> str:
    """The hub does not have it, or denies access; it does not always say which."""
    status = _status(error)
    page = f"https://huggingface.co/{cache.repo}"
    match error:
        case RevisionNotFoundError():
            return (
                f"{cache.repo} has no revision {cache.revision}. Set {setting('HF_REVISION')} to one that "
                "it has, or unset it."
            )
        case GatedRepoError() if status == 403:
            return (
                f"{cache.repo} is given only to those who have accepted its licence. Accept it at {page} "
                "with the account of HF_TOKEN, allow a fine-grained token to read gated repositories, "
                "and start again."
            )
        case _ if status == 401 and has_token:
            return (
                "The hub does not accept HF_TOKEN: it is mistyped, expired or revoked. "
                f"Make a new one at {TOKENS_PAGE}, set HF_TOKEN to it and start again."
            )
        case GatedRepoError():
            return (
                f"{cache.repo} is given only to those who sign in, and HF_TOKEN is not set. Accept the "
                f"licence at {page}, make a token at {TOKENS_PAGE}, set HF_TOKEN to it "
                "and start again."
            )
        case RepositoryNotFoundError() if not has_token:
            return (
                f"The hub has no public repository {cache.repo}. Correct {HF_REPO}, "
                "or set HF_TOKEN to a token that may read it."
            )
        case RepositoryNotFoundError():
            return (
                f"The hub has no repository {cache.repo} that HF_TOKEN may read. Correct {HF_REPO}, "
                "or let the token's account read it."
            )
        case _ if status == 403 and has_token:
            return f"HF_TOKEN may not read {cache.repo}. Allow it at {TOKENS_PAGE} and start again."
        case _:
            return f"The hub asks for a token. Make one at {TOKENS_PAGE}, set HF_TOKEN to it and start again."


def _refused(error: requests.HTTPError, cache: HubCache) -> str:
    """The hub has the file but refuses the request."""
    match _status(error):
        case 404:
            return f"{cache.repo} lacks a file that the hub had listed. Start again."
        case _ if is_misfit(error):
            return (
                f"A part of {cache.repo} that arrived earlier did not fit and was removed. "
                "Restart to download it again."
            )
        case 429:
            return (
                "The hub says that it is asked too often from here. Wait some minutes and start the app "
                "again; with HF_TOKEN set, more is allowed."
            )
        case status if status >= 500:
            return (
                f"The hub has a problem (error {status}), and {cache.lacks()}. Start again in some minutes."
            )
        case status:
            return f"The hub refuses the request (error {status}). Check {HF_REPO}, and HF_ENDPOINT if set."


def _unreachable(error: requests.RequestException, cache: HubCache) -> str:
    """No answer came, or only part of one."""
    match error:
        case requests.exceptions.SSLError() | requests.exceptions.ProxyError():
            return (
                f"No secure connection to the hub can be made, and {cache.lacks()}. Check the proxy "
                "(HTTPS_PROXY), its certificates (REQUESTS_CA_BUNDLE) and the clock of this machine."
            )
        case requests.exceptions.JSONDecodeError():
            return _no_hub()
        case _ if cache.has_parts():
            return (
                f"The download of {cache.repo} broke off. What has arrived is kept: check the network and "
                "start again, and it goes on from there."
            )
        case requests.Timeout():
            return f"The hub did not answer in time, and {cache.lacks()}. Check the network and start again."
        case _:
            return (
                f"The hub cannot be reached, and {cache.lacks()}. Check the network, and HF_ENDPOINT "
                f"if it is set; or set {HF_REPO} to a folder that holds the files."
            )


def _no_hub() -> str:
    return (
        "What answers is not the Hugging Face hub. Check HF_ENDPOINT, if it is set, the proxy, and whether "
        "this network asks to sign in first."
    )
