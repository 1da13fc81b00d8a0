"""What the hub refuses, as one sentence that says what to do next."""

import requests
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

TOKENS = "https://huggingface.co/settings/tokens"
BILLING = "https://huggingface.co/settings/billing"
MOST_QUOTED = 200
AGAIN = "Run it again; what is there already stays."


class PushError(Exception):
    """One sentence or two for whoever runs the command."""


def explained(error: Exception, doing: str, repo_id: str) -> str:
    """``doing``: the step, as in "making the Space". The hub's own words are quoted, ours come first."""
    return f"Stopped while {doing}: {_reason(error, repo_id)} {AGAIN}"


def _reason(error: BaseException, repo_id: str) -> str:
    if isinstance(error, RuntimeError) and error.__cause__ is not None:
        return _reason(error.__cause__, repo_id)  # so the client wraps what happens to a large file
    if isinstance(error, OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set, so the hub is not asked; unset it."
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return _refusal(error, error.response, repo_id)
    if isinstance(error, requests.RequestException | OSError):
        return "huggingface.co was not reached; check the network and any proxy."
    return f"the hub's answer was not understood ({_quoted(str(error))})."


def _refusal(error: requests.HTTPError, answer: requests.Response, repo_id: str) -> str:
    if isinstance(error, HfHubHTTPError):
        said = error.server_message
    else:
        said = answer.headers.get("X-Error-Message")
    status = answer.status_code
    lower = (said or "").lower()
    quoted = f" The hub says: {_quoted(said)}" if said else ""
    if status == 402 or "payment" in lower or "billing" in lower:
        free = "or choose --hardware cpu-basic"
        return f"this needs a means of payment or a subscription; add it at {BILLING}, {free}.{quoted}"
    if status == 401:
        return f"the token is not valid any more; make one with the right to write at {TOKENS}.{quoted}"
    if status == 403:
        return f"the token may not write to {repo_id}; make one of the type Write at {TOKENS}.{quoted}"
    if status == 404:
        return f"the hub does not know {repo_id}, or not this request.{quoted}"
    if status == 409:
        return f"the name {repo_id} is taken; choose another one.{quoted}"
    if status == 429:
        return f"the hub has had too many requests from this account; wait some minutes.{quoted}"
    if status in (413, 507) or "quota" in lower or "storage limit" in lower:
        return f"the account's storage is full; make room at https://huggingface.co/settings/billing.{quoted}"
    if status >= 500:
        return f"the hub has trouble (HTTP {status}); see https://status.huggingface.co.{quoted}"
    return f"the hub refused it (HTTP {status}).{quoted}"


def _quoted(text: str) -> str:
    line = " ".join(text.split())
    line = line if len(line) <= MOST_QUOTED else f"{line[:MOST_QUOTED]}…"
    return line if line.endswith((".", "…")) else f"{line}."
