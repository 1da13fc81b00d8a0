"""What is the same of all OpenAI-compatible servers that do a part of a conversation: address and key."""

import re

import httpx


def endpoint(base_url: str, path: str) -> httpx.URL | None:
    """``path``, as in ``/audio/speech``, below ``base_url``; None if that is no web address. A query or a
    fragment of it is left out."""
    try:
        url = httpx.URL(base_url.strip())
    except httpx.InvalidURL:
        return None
    if url.scheme not in ("http", "https") or not url.host:
        return None
    return url.copy_with(path=f"{url.path.rstrip('/')}{path}", query=None, fragment=None)


def can_be_sent(api_key: str) -> bool:
    """Whether a header may hold it; an empty one is not sent."""
    return re.fullmatch(r"[!-~]*", api_key) is not None


def authorization(api_key: str) -> dict[str, str]:
    """The headers that carry ``api_key``; none for a server that asks for no key."""
    return {"Authorization": f"Bearer {api_key}"} if api_key else {}
