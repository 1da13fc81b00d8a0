"""A tab of before the last restart, and all else that Gradio cannot use: a sentence, never a traceback."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from gradio.routes import App
from httpx import Response
from starlette.routing import Mount

from tests.support.page_session import LIBRARIES_WARN, OpenApp, open_app
from tests.support.password import HEADERS, VARIABLES

pytestmark = [LIBRARIES_WARN, pytest.mark.asyncio(loop_scope="module")]

JSON = {"Content-Type": "application/json"}


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=["open", "closed"])
async def app(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> AsyncIterator[OpenApp]:
    folder: Path = tmp_path_factory.mktemp("app")
    closed = request.param == "closed"
    async with open_app(folder, ENGINE="echo", **(VARIABLES if closed else {})) as app:
        app.http.headers.update(HEADERS if closed else {})
        await app.loaded()
        yield app


def sentence_of(answer: Response, *statuses: int) -> str:
    assert answer.status_code in (statuses or range(400, 500)), answer.text
    said = answer.json()["detail"]
    for told in ("Traceback", "site-packages", ".py", "personaplex_ui", "KeyError"):
        assert told not in answer.text
    assert isinstance(said, str)
    assert said.endswith(".")
    return said


async def test_debug_is_off(app: OpenApp):
    mounts = [route.app for route in vars(app)["_app"].routes if isinstance(route, Mount)]
    assert [inner.debug for inner in mounts if isinstance(inner, App)] == [False]


@pytest.mark.parametrize("index", [99_999, -1, 2**70])
async def test_a_function_that_is_gone(app: OpenApp, index: int):
    event: dict[str, Any] = {
        "data": [],
        "fn_index": index,
        "session_hash": "abc",
        "event_data": None,
        "trigger_id": 7,
    }
    answer = await app.http.post("/gradio_api/queue/join", json=event)
    assert "reload the page" in sentence_of(answer, 409)


async def test_a_number_that_is_another_function_now(app: OpenApp):
    index = next(n for n, f in app.functions.items() if f.name == "check_sampling")
    event: dict[str, Any] = {"data": ["NATF2"], "fn_index": index, "session_hash": "abc"}
    answer = await app.http.post("/gradio_api/queue/join", json=event)
    assert "reload the page" in sentence_of(answer, 409)


async def test_a_session_that_is_gone(app: OpenApp):
    answer = await app.http.get("/gradio_api/queue/data", params={"session_hash": "gone"})
    assert answer.status_code == 200
    [message] = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    assert (message["msg"], message["session_not_found"]) == ("unexpected_error", True)
    assert "reload the page" in message["message"]
    answer = await app.http.get("/gradio_api/call/converse/gone")
    assert "no such event" in sentence_of(answer, 404)


JUNK: list[Any] = [
    None,
    [],
    "text",
    7,
    {},
    {"data": None},
    {"data": {}, "fn_index": 0, "session_hash": "abc"},
    {"data": [], "fn_index": None, "session_hash": "abc"},
    {"data": [], "fn_index": "0", "session_hash": "abc"},
    {"data": [], "fn_index": 1.5, "session_hash": "abc"},
    {"data": [], "fn_index": True, "session_hash": "abc"},
    {"data": [], "fn_index": 0},
    {"data": [], "fn_index": 0, "session_hash": ["abc"]},
    {"data": [], "fn_index": 0, "session_hash": "../../etc"},
    {"data": [], "fn_index": 0, "session_hash": "x" * 10_000},
    {"data": [], "fn_index": 0, "session_hash": "abc", "trigger_id": "x"},
    {"event_id": 3, "session_hash": "abc", "fn_index": 0},
    {"event_id": "x", "session_hash": "abc", "fn_index": {}},
    {"component_id": "x", "fn_name": "offer", "session_hash": "abc", "data": {}},
    {"component_id": 1, "fn_name": ["offer"], "session_hash": "abc", "data": {}},
    {"component_id": 1, "fn_name": "offer", "session_hash": "abc"},
]
POSTS = (
    "/gradio_api/queue/join",
    "/gradio_api/call/converse",
    "/gradio_api/call/nothing",
    "/gradio_api/call/converse/",
    "/gradio_api/cancel",
    "/gradio_api/reset",
    "/gradio_api/run/converse",
    "/gradio_api/run/predict",
    "/gradio_api/api/converse",
    "/gradio_api/api/predict/",
    "/gradio_api/stream/x",
    "/gradio_api/stream/x/close",
    "/gradio_api/vibe-edit",
)


@pytest.mark.parametrize("path", POSTS)
async def test_junk_is_answered_in_words(app: OpenApp, path: str):
    takes_it = path.rstrip("/") == "/gradio_api/call/converse"  # which says what is missing later
    for body in JUNK:
        if takes_it and '"data": []' in json.dumps(body):
            continue
        sentence_of(await app.http.post(path, json=body))
    for content in (b"", b"{", b"\xff\xfe", b'{"data": [' + b"[" * 4_000, b"a=1", b'{"data": ["\\ud800"]}'):
        sentence_of(await app.http.post(path, content=content, headers=JSON))
    whole = json.dumps({"data": [], "fn_index": 0, "session_hash": "abc"}).encode()
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        sentence_of(await app.http.post(path, content=whole, headers={"Content-Type": kind}))


@pytest.mark.parametrize(
    "path",
    [
        "/?deep_link=../../../../etc",
        "/?page=nothing",
        "/?page=a&page=b&deep_link=x",
        "/config?deep_link=../../x",
        "/gradio_api/info?all_endpoints=x",
        "/gradio_api/info?all_endpoints=True",
        "/gradio_api/info?serialize=False",
    ],
)
async def test_queries_that_gradio_would_read(app: OpenApp, path: str):
    answer = await app.http.get(path)
    assert answer.status_code == 200
    assert '"deep_link_state":"invalid"' not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file=../../etc/passwd",
        "/gradio_api/file=%00",
        "/assets/nothing.js",
        "/static/../routes.py",
        "/gradio_api/stream/x/1/2/playlist.m3u8",
        "/monitoring/summary",
    ],
)
async def test_what_is_not_there(app: OpenApp, path: str):
    answer = await app.http.get(path)
    assert 400 <= answer.status_code < 500
    assert "Traceback" not in answer.text
    assert str(Path(__file__).parents[2]) not in answer.text


async def test_an_event_takes_nobody_elses_place(app: OpenApp):
    """Gradio would go on with the iterator of the event that is named, and batches are another function's."""
    index = next(n for n, f in app.functions.items() if f.api_name == "voices")
    event: dict[str, Any] = {
        "data": [],
        "fn_index": index,
        "session_hash": "abcd",
        "event_id": "another",
        "batched": True,
    }
    assert (await app.http.post("/gradio_api/queue/join", json=event)).status_code == 200
    answer = await app.http.get("/gradio_api/queue/data", params={"session_hash": "abcd"})
    assert '"success":true' in answer.text
