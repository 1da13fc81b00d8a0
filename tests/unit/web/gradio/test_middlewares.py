"""The middlewares around Gradio's app, before an app that notes what reaches it."""

import json
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from httpx import ASGITransport, AsyncClient, Response
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from personaplex_ui.web.gradio.bodies import GradioBodies
from personaplex_ui.web.gradio.failures import FAILED, GradioFailures
from personaplex_ui.web.gradio.messages import EVENT, NO_JSON, SESSION
from personaplex_ui.web.gradio.routes import GradioRoutes
from tests.support.page_session import LIBRARIES_WARN

pytestmark = LIBRARIES_WARN

EVENT_OF_SESSION: dict[str, Any] = {"session_hash": "abc", "event_id": "e"}


async def answer_of(app: ASGIApp, path: str, body: object, method: str = "POST") -> Response:
    transport = ASGITransport(app, raise_app_exceptions=False)
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with AsyncClient(transport=transport, base_url="http://x") as client:
        headers = {"Content-Type": "application/json"}
        return await client.request(method, f"/gradio_api{path}", content=content, headers=headers)


@pytest.fixture
def seen() -> list[Any]:
    return []


@pytest.fixture
async def bodies(seen: list[Any], tmp_path: Path) -> GradioBodies:  # Gradio wants a loop
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(await Request(scope, receive).json())
        await PlainTextResponse()(scope, receive, send)

    with gr.Blocks(analytics_enabled=False) as page:
        gr.Textbox()
    return GradioBodies(app, page, tmp_path)


@pytest.mark.parametrize("path", ["/cancel", "/reset", "/reset/"])
async def test_only_known_fields_are_passed_on(bodies: GradioBodies, seen: list[Any], path: str):
    body: dict[str, Any] = EVENT_OF_SESSION | {"fn_index": 3, "url": "http://evil.example", "event_data": {}}
    assert (await answer_of(bodies, path, body)).status_code == 200
    assert seen == [EVENT_OF_SESSION | {"fn_index": 3}]


@pytest.mark.parametrize(
    ("path", "body", "sentence"),
    [
        *[("/cancel", body, NO_JSON) for body in (b"", b"[", b"[]", b"7", b'"\\ud800"', b"[" * 4_000)],
        ("/cancel", {"event_id": "e"}, SESSION.description),
        ("/cancel", EVENT_OF_SESSION | {"session_hash": "a/b"}, SESSION.description),
        ("/cancel", EVENT_OF_SESSION | {"session_hash": "abc\n"}, SESSION.description),
        ("/cancel", EVENT_OF_SESSION | {"event_id": 7}, EVENT.description),
        ("/reset", {"event_id": "e", "fn_index": True}, EVENT.description),
    ],
)
async def test_what_cannot_be_used_is_said_in_a_sentence(
    bodies: GradioBodies, seen: list[Any], path: str, body: object, sentence: str
):
    answer = await answer_of(bodies, path, body)
    assert (answer.status_code, sentence in answer.json()["detail"]) == (400, True)
    assert seen == []


@pytest.mark.parametrize(
    ("error", "begun", "status"),
    [(ValueError, False, 500), (ValueError, True, 200), (ClientDisconnect, False, None)],
)
async def test_a_failure_is_told_unless_an_answer_has_begun_or_nobody_listens(
    error: type[Exception], begun: bool, status: int | None
):
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if begun:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise error

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError

    scope: Scope = {"type": "http", "method": "POST", "path": "/gradio_api/queue/join"}
    failures = GradioFailures(app, gr.Blocks(analytics_enabled=False))
    if status is None:
        await failures(scope, receive, send)
    else:
        with pytest.raises(ValueError):  # noqa: PT011  for the log
            await failures(scope, receive, send)
    assert [m["status"] for m in sent if "status" in m] == ([] if status is None else [status])
    if status == 500:
        assert json.loads(sent[1]["body"]) == {"detail": FAILED}


async def test_what_is_not_a_request_reaches_gradio() -> None:
    reached: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        reached.append(scope["type"])

    async def never(*_: object) -> Any:
        raise AssertionError

    await GradioRoutes(app)({"type": "lifespan"}, never, never)
    assert reached == ["lifespan"]
