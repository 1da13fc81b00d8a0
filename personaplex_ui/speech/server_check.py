"""Asks an OpenAI-compatible server which models it has (``GET /models``): whether it is there, takes the key,
and knows the model. Costs nothing there. What it sends is not trusted."""

import enum
import json
import time
from dataclasses import dataclass
from typing import cast

import httpx

from personaplex_ui.speech.servers import authorization, can_be_sent, endpoint

TIMEOUT = httpx.Timeout(5.0)
LIMIT_SEC = 10.0
MAX_ANSWER_BYTES = 4_000_000
"""A list of some thousand models."""


class ServerState(enum.Enum):
    """``SILENT``: it is there, but does not list models, which many servers for speech do not."""

    GOOD = enum.auto()
    SILENT = enum.auto()
    UNREACHABLE = enum.auto()
    TOO_SLOW = enum.auto()
    KEY_REFUSED = enum.auto()
    KEY_UNUSABLE = enum.auto()
    MODEL_UNKNOWN = enum.auto()
    OVERLOADED = enum.auto()
    IN_TROUBLE = enum.auto()
    ELSEWHERE = enum.auto()
    NO_API = enum.auto()


@dataclass(frozen=True, slots=True)
class ServerFound:
    """``models``: names of some that it has, where it does not know ours."""

    state: ServerState
    models: tuple[str, ...] = ()


def look_at_server(
    base_url: str, api_key: str, model: str, client: httpx.Client | None = None
) -> ServerFound:
    """Blocks for at most some 15 s. ``client``: one that follows no redirects, since they would be given the
    key; None for one of its own."""
    address = endpoint(base_url, "/models")
    if address is None:
        return ServerFound(ServerState.UNREACHABLE)
    if not can_be_sent(api_key):
        return ServerFound(ServerState.KEY_UNUSABLE)
    headers = {"Accept-Encoding": "identity", **authorization(api_key)}
    try:
        with (
            client or httpx.Client(timeout=TIMEOUT) as asking,
            asking.stream("GET", address, headers=headers) as answer,
        ):
            return _judge(answer.status_code, _body(answer), model)
    except httpx.TimeoutException:
        return ServerFound(ServerState.TOO_SLOW)
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, ValueError, ImportError, OSError):
        return ServerFound(ServerState.UNREACHABLE)  # ValueError and ImportError: a proxy that cannot be used


def _body(answer: httpx.Response) -> bytes:
    """Empty if it is far too long."""
    ends_at = time.monotonic() + LIMIT_SEC
    body = bytearray()
    for piece in answer.iter_bytes():
        body += piece
        if len(body) > MAX_ANSWER_BYTES:
            return b""
        if time.monotonic() > ends_at:
            raise httpx.ReadTimeout("It sends drop by drop.")
    return bytes(body)


def _judge(status: int, body: bytes, model: str) -> ServerFound:
    match status:
        case 200:
            return _judge_list(body, model)
        case 401 | 403:
            return ServerFound(ServerState.KEY_REFUSED)
        case 429:
            return ServerFound(ServerState.OVERLOADED)
        case _ if 300 <= status < 400:
            return ServerFound(ServerState.ELSEWHERE)
        case _ if status >= 500:
            return ServerFound(ServerState.IN_TROUBLE)
        case _:
            is_page = body.lstrip()[:1] == b"<"
            return ServerFound(ServerState.NO_API if is_page else ServerState.SILENT)


def _judge_list(body: bytes, model: str) -> ServerFound:
    try:
        answer = cast(object, json.loads(body))
    except (ValueError, RecursionError):
        return ServerFound(ServerState.NO_API)
    listed = cast(dict[str, object], answer).get("data") if isinstance(answer, dict) else None
    if not isinstance(listed, list):
        return ServerFound(ServerState.NO_API)
    entries = (
        cast(dict[str, object], entry) for entry in cast(list[object], listed) if isinstance(entry, dict)
    )
    names = [name for entry in entries if isinstance(name := entry.get("id"), str)]
    if not names or model in names:
        return ServerFound(ServerState.GOOD if names else ServerState.SILENT)
    return ServerFound(ServerState.MODEL_UNKNOWN, tuple(_shown(name) for name in names[:5]))


def _shown(name: str) -> str:
    return "".join(letter for letter in name[:60] if letter.isprintable())
