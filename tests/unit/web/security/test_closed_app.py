"""The whole app with a password: every one of its routes, those of Gradio and FastRTC too, is tried."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
import soundfile
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from personaplex_ui.app.bootstrap import build_app
from personaplex_ui.config.settings import Settings
from personaplex_ui.web.security.credentials import COOKIE
from personaplex_ui.web.security.refusals import NO_PASSWORD
from personaplex_ui.web.security.session_cookie import COOKIE as VISITOR
from tests.support.page_session import LIBRARIES_WARN, OpenApp, PageSession
from tests.support.protected_app import all_routes, open_websocket

pytestmark = [LIBRARIES_WARN, pytest.mark.asyncio(loop_scope="module")]

PASSWORD = "open sesame"
KEY = {"Authorization": "Bearer a-key-for-machines"}
ROLE = "You are a lighthouse keeper."
OPEN = re.compile(
    r"GET /(health|capacity)|(GET|HEAD) /|POST /login/?|GET /logout|GET /favicon.ico|GET /robots.txt"
    r"|POST /twilio/(inbound|ended|status|transferred|outbound/answered)|WEBSOCKET /twilio/media-stream"
    r"|(GET|HEAD|POST) /operator"
)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def asgi_app(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FastAPI]:
    settings = {
        "ENGINE": "echo",
        "RECORDINGS_DIR": str(tmp_path_factory.mktemp("recordings")),
        "APP_PASSWORD": PASSWORD,
        "API_KEY": "a-key-for-machines",
        "DEFAULT_TEXT_PROMPT": ROLE,
    }
    app = build_app(Settings.from_mapping(settings))
    async with app.router.lifespan_context(app):
        yield app


@pytest_asyncio.fixture(loop_scope="module")
async def stranger(asgi_app: FastAPI) -> AsyncIterator[AsyncClient]:
    """A client that shows nothing yet."""
    async with AsyncClient(
        transport=ASGITransport(asgi_app), base_url="http://localhost", timeout=30
    ) as http:
        yield http


async def test_without_the_password_every_route_is_closed(asgi_app: FastAPI, stranger: AsyncClient):
    tried = set(all_routes(asgi_app.routes))
    assert {
        ("GET", "/voices"),
        ("GET", "/docs"),
        ("GET", "/metrics"),
        ("POST", "/twilio/outbound"),
        ("GET", "/twilio/status/x"),
        ("WEBSOCKET", "/api/chat"),
        ("WEBSOCKET", "/ws/chat"),
        ("GET", "/openapi.json"),
        ("GET", "/calls/x/recording.wav"),
        ("GET", "/config"),
        ("GET", "/monitoring/x"),
        ("GET", "/gradio_api/heartbeat/x"),
        ("GET", "/gradio_api/queue/data"),
        ("POST", "/gradio_api/queue/join"),
        ("POST", "/gradio_api/upload"),
        ("POST", "/webrtc/offer"),
        ("POST", "/gradio_api/run/x"),
        ("GET", "/gradio_api/file=x"),
        ("GET", "/gradio_api/token"),
        ("POST", "/gradio_api/stream/x"),
        ("WEBSOCKET", "/gradio_api/stream/x"),
    } <= tried
    answered: list[str] = []
    for method, path in sorted(tried):
        if method == "WEBSOCKET":
            by_program = await open_websocket(asgi_app, path)
            by_browser = await open_websocket(asgi_app, path, {"Origin": "http://localhost"})
            if (by_program[0].get("status"), by_browser[-1].get("code")) != (401, 4001):
                answered.append(f"{method} {path}")
        else:
            answer = await stranger.request(method, path)
            if answer.status_code != 401:
                answered.append(f"{method} {path}")
            elif method != "HEAD":
                assert answer.json() == {"detail": NO_PASSWORD}
    assert [route for route in answered if not OPEN.fullmatch(route)] == []
    assert {"GET /", "GET /health", "POST /login", "GET /logout"} <= set(answered)


async def test_the_login_page_tells_nothing_of_the_app_and_loads_nothing(stranger: AsyncClient):
    answer = await stranger.get("/?__theme=dark")
    assert 'action="login?__theme=dark"' in answer.text
    for told in (ROLE, "NATF", "converse", "Talk with PersonaPlex", PASSWORD, "src=", "href=", "<script"):
        assert told not in answer.text
    assert not answer.cookies


async def test_the_form_logs_in_to_all_of_it(stranger: AsyncClient):
    wrong = await stranger.post("/login", files={"username": (None, "x"), "password": (None, "wrong")})
    assert wrong.status_code == 400
    right = await stranger.post("/login", files={"username": (None, "x"), "password": (None, PASSWORD)})
    assert (right.status_code, right.json()) == (200, {"success": True})
    page = await stranger.get("/?__theme=dark")
    assert ROLE in page.text
    assert VISITOR in stranger.cookies
    for path in ("/health", "/voices", "/docs", "/config", "/gradio_api/info", "/gradio_api/app_id"):
        assert (await stranger.get(path)).status_code == 200, path
    await stranger.get("/logout")
    assert COOKIE not in stranger.cookies
    assert 'type="password"' in (await stranger.get("/")).text


@pytest.mark.parametrize(
    "options",
    [{"headers": KEY}, {"headers": {"X-App-Password": PASSWORD}}, {"params": {"password": PASSWORD}}],
)
async def test_a_key_opens_gradios_own_routes(stranger: AsyncClient, options: dict[str, Any]):
    for path in ("/config", "/gradio_api/info", "/"):
        answer = await stranger.get(path, **options)
        assert (answer.status_code, 'type="password"' in answer.text) == (200, False)


async def test_a_machine_has_a_clip_answered(asgi_app: FastAPI, stranger: AsyncClient, tmp_path: Path):
    sound = 0.3 * np.sin(np.arange(24_000) * 2 * np.pi * 440 / 24_000)
    clip = tmp_path / "clip.wav"
    soundfile.write(clip, sound, 24_000)
    stranger.headers.update(KEY)
    app = OpenApp(asgi_app, stranger)
    await app.loaded()
    answer, _ = await PageSession(app).converse(clip)
    downloaded = await stranger.get(f"/gradio_api/file={answer}")
    assert downloaded.status_code == 200
    assert downloaded.content[:4] == b"RIFF"
    del stranger.headers["Authorization"]
    assert (await stranger.get(f"/gradio_api/file={answer}")).status_code == 401
