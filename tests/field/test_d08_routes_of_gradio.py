"""Of all that Gradio mounts only what its page and its clients use is there, with a password and without."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_asyncio
from gradio.routes import App
from gradio.utils import get_upload_folder
from starlette.routing import Mount

from tests.support.page_session import LIBRARIES_WARN, OpenApp, open_app
from tests.support.protected_app import all_routes, open_websocket

pytestmark = [LIBRARIES_WARN, pytest.mark.asyncio(loop_scope="module")]

OPEN = {
    *(("GET", path) for path in ("/", "/config", "/config/", "/theme.css", "/favicon.ico", "/robots.txt")),
    *(("GET", path) for path in ("/manifest.json", "/assets/x", "/static/x", "/logout")),
    *(("POST", path) for path in ("/login", "/login/")),
    *(("GET", f"/gradio_api/{path}") for path in ("info", "info/", "app_id", "app_id/")),
    *(("GET", f"/gradio_api/{path}") for path in ("heartbeat/x", "queue/data", "call/x/x", "file=x")),
    *(("POST", f"/gradio_api/{path}") for path in ("queue/join", "call/x", "call/x/", "cancel", "upload")),
    *(("POST", f"/gradio_api/{path}") for path in ("reset", "reset/")),
}
CLOSED = {
    ("POST", "/gradio_api/component_server"),
    ("GET", "/gradio_api/custom_component/x/client/x/x"),
    ("POST", "/gradio_api/process_recording"),
    ("GET", "/gradio_api/deep_link"),
    ("POST", "/gradio_api/vibe-edit"),
    ("POST", "/gradio_api/undo-vibe-edit"),
    ("GET", "/gradio_api/vibe-code"),
    ("POST", "/gradio_api/vibe-starter-queries"),
    ("GET", "/gradio_api/upload_progress"),
    ("GET", "/monitoring"),
    ("GET", "/monitoring/summary"),
    ("GET", "/gradio_api/startup-events"),
    ("GET", "/gradio_api/dev/reload"),
    ("GET", "/gradio_api/proxy=x"),
    ("POST", "/gradio_api/run/x"),
    ("POST", "/gradio_api/api/x"),
    ("POST", "/gradio_api/stream/x"),
    ("GET", "/gradio_api/token"),
    ("GET", "/gradio_api/user"),
    ("GET", "/gradio_api/openapi.json"),
    ("GET", "/svelte/x"),
    ("GET", "/pwa_icon"),
}


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=["open", "closed"])
async def app(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> AsyncIterator[OpenApp]:
    folder: Path = tmp_path_factory.mktemp("app")
    password = "a long password for tests" if request.param == "closed" else ""
    async with open_app(folder, ENGINE="echo", APP_PASSWORD=password) as app:
        if password:
            app.http.headers["X-App-Password"] = password
        await app.loaded()
        yield app


def gradio_of(app: OpenApp) -> App:
    mounts = [route.app for route in vars(app)["_app"].routes if isinstance(route, Mount)]
    [gradio] = [inner for inner in mounts if isinstance(inner, App)]
    return gradio


async def test_every_route_is_open_or_closed(app: OpenApp):
    """Each one that a new version of Gradio brings is closed."""
    tried = set(all_routes(gradio_of(app).routes)) | {("GET", "/gradio_api/custom_component/x/client/x/x")}
    tried = {(method, path) for method, path in tried if path != "/openapi.json"}  # there ours is found
    assert tried >= CLOSED
    assert tried >= OPEN
    paths = {path for _, path in OPEN}
    for method, path in sorted(tried - OPEN - {("HEAD", path) for _, path in OPEN}):
        if method == "WEBSOCKET":
            sent = await open_websocket(
                vars(app)["_app"], path, {"X-App-Password": "a long password for tests"}
            )
            assert [message["type"] for message in sent] == ["websocket.close"], path
            continue
        answer = await app.http.request(method, path)
        assert answer.status_code == (405 if path in paths else 404), f"{method} {path}"
        assert method == "HEAD" or answer.json()["detail"].endswith(".")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_no_method_opens_what_is_closed(app: OpenApp, method: str):
    for _, path in sorted(CLOSED):
        for written in (path, f"{path}/", path.replace("/gradio_api/", "/gradio_api//"), path.upper()):
            assert (await app.http.request(method, written)).status_code == 404, written


async def test_what_is_open_is_answered_by_gradio(app: OpenApp):
    for path in ("/", "/config", "/theme.css", "/favicon.ico", "/robots.txt", "/gradio_api/info"):
        assert (await app.http.get(path)).status_code == 200, path
    for path in ("/gradio_api/app_id", "/static/img/logo.svg", "/gradio_api/info?serialize=False"):
        assert (await app.http.get(path)).status_code == 200, path
    preflight = {"Origin": "https://friend.example", "Access-Control-Request-Method": "POST"}
    answer = await app.http.options("/gradio_api/queue/join", headers=preflight)
    assert answer.status_code in (200, 401)


async def test_nothing_is_written(app: OpenApp):
    folder = get_upload_folder()
    before = sorted(os.listdir(folder))
    form = {"video": ("x.mp4", b"video")}
    await app.http.post("/gradio_api/process_recording", files=form)
    await app.http.get("/gradio_api/deep_link", params={"session_hash": "abc"})
    await app.http.post("/gradio_api/vibe-code", json={"code": "print()"})
    assert sorted(os.listdir(folder)) == before


async def test_no_function_of_the_page_needs_what_is_closed(app: OpenApp):
    """Functions without a queue would be called at /run; those that read an event's data would lack it."""
    for function in cast(Any, app.page.get_config_file())["dependencies"]:
        assert function["queue"] is not False or not function["backend_fn"]
    assert [f.name for f in app.functions.values() if f.collects_event_data] == []
