"""What the path of one process among several does to requests."""

from typing import Any

import pytest
from starlette.requests import HTTPConnection
from starlette.types import Message, Receive, Scope, Send

from personaplex_ui.web.instance_path import InstancePath, called_below, instance_path


async def passed_on(path: str, instance: str = "/gpu-1", kind: str = "http") -> tuple[Scope, list[Message]]:
    """What the app behind it sees, if anything, and what is answered."""
    seen: list[Scope] = []
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": kind,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"a=1",
        "headers": [],
        "method": "GET",
    }
    await InstancePath(app, instance)(scope, receive, send)
    return (seen[0] if seen else {}), sent


@pytest.mark.parametrize(
    ("path", "inner", "below"),
    [
        ("/health", "/health", ""),
        ("/gpu-1/", "/", "/gpu-1"),
        ("/gpu-1/api/chat", "/api/chat", "/gpu-1"),
        ("/gpu-1/gpu-1/x", "/gpu-1/x", "/gpu-1"),
        ("/gpu-10/health", "/gpu-10/health", ""),
        ("/gpu-2/twilio/inbound", "/gpu-2/twilio/inbound", ""),
        ("/gpu-2/twilio/ended", "/twilio/ended", "/gpu-2"),
        ("/gpu-2/twilio/transferred", "/twilio/transferred", "/gpu-2"),
        ("/gpu-2/twilio/outbound/answered", "/twilio/outbound/answered", "/gpu-2"),
        ("/gpu-2/twilio/media-stream", "/gpu-2/twilio/media-stream", ""),
        ("/a/b/twilio/ended", "/a/b/twilio/ended", ""),
    ],
)
@pytest.mark.parametrize("kind", ["http", "websocket"])
async def test_it_is_taken_off(path: str, inner: str, below: str, kind: str) -> None:
    scope, _ = await passed_on(path, kind=kind)
    assert (scope["path"], scope["raw_path"].decode()) == (inner, inner)
    assert called_below(scope) == below
    assert instance_path(HTTPConnection({**scope, "type": "http"})) == "/gpu-1"


async def test_without_one_nothing_is_taken_off() -> None:
    scope, _ = await passed_on("/gpu-1/health", instance="")
    assert (scope["path"], called_below(scope)) == ("/gpu-1/health", "")
    assert instance_path(HTTPConnection(scope)) == ""


async def test_the_folder_has_a_slash() -> None:
    scope, sent = await passed_on("/gpu-1")
    assert scope == {}
    assert (sent[0]["status"], dict(sent[0]["headers"])[b"location"]) == (307, b"gpu-1/?a=1")
