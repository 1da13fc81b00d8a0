"""The whole app as one of several at one address: at its usual paths, and wholly below its own."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
import soundfile
from httpx import ASGITransport, AsyncClient

from personaplex_ui.app.bootstrap import build_app
from personaplex_ui.config.settings import Settings
from personaplex_ui.errors import SettingsError
from personaplex_ui.web.api_responses import NEEDS_SIGNATURE
from personaplex_ui.web.twilio_paths import FOLLOWING, WEBHOOKS
from tests.support.app_process import TELEPHONE
from tests.support.clients.twilio_account import TwilioAccount
from tests.support.page_session import LIBRARIES_WARN, OpenApp, PageSession, open_app
from tests.support.protected_app import open_websocket

pytestmark = [LIBRARIES_WARN, pytest.mark.asyncio(loop_scope="module")]

PUBLIC = "https://talk.example.org"
OURS = "/gpu-1"
SEEN_BY_PROXY = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "talk.example.org"}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def app(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OpenApp]:
    folder = tmp_path_factory.mktemp("app")
    async with open_app(folder, ENGINE="echo", SERVER_URL=PUBLIC, INSTANCE_PATH=OURS) as app:
        await app.loaded()
        yield app


@pytest_asyncio.fixture(loop_scope="module", params=[{}, SEEN_BY_PROXY], ids=["plain", "forwarded"])
async def below(app: OpenApp, request: pytest.FixtureRequest) -> AsyncIterator[OpenApp]:
    """As a client sees it that was given the path."""
    base = f"http://localhost{OURS}"
    headers: dict[str, str] = request.param
    async with AsyncClient(
        transport=ASGITransport(app.asgi), base_url=base, timeout=30, headers=headers
    ) as http:
        yield OpenApp(app.asgi, http)


async def test_both_ways_lead_to_the_same(app: OpenApp) -> None:
    for path in ("/health", "/capacity", "/voices"):
        assert (await app.http.get(path)).status_code == 200
        assert (await app.http.get(OURS + path)).status_code == 200
        assert (await app.http.head(OURS + path)).status_code == 200
        assert (await app.http.get(f"/gpu-2{path}")).status_code == 404
    slash = await app.http.get(f"{OURS}?password=x")
    assert (slash.status_code, slash.headers["location"]) == (307, "gpu-1/?password=x")
    assert (await app.http.put(f"{OURS}/health")).status_code == 405
    for path in ("/api/chat", f"{OURS}/api/chat"):
        assert (await open_websocket(app.asgi, path))[0]["type"] == "websocket.accept"


async def test_the_page_below_it_stays_there(below: OpenApp) -> None:
    root = (await below.http.get("/config")).json()["root"]
    assert root.endswith(OURS)
    assert root.startswith(
        "https://talk.example.org/" if "X-Forwarded-Host" in below.http.headers else "http://"
    )
    page = await below.http.get("/")
    assert re.findall(r'(?:src|href)="/[^"]*"', page.text) == []
    for path in set(re.findall(r'(?:src|href)="(page/[^"]+)"', page.text)):
        assert (await below.http.get(f"/{path}")).status_code == 200


async def test_an_answers_address_can_be_fetched(below: OpenApp, tmp_path: Path) -> None:
    clip = tmp_path / "clip.wav"
    soundfile.write(clip, 0.3 * np.sin(np.arange(24_000) / 8), 24_000)
    page = PageSession(below)
    posted = await below.http.post(
        "/gradio_api/call/converse", json={"data": [await page.upload(clip), "NATF2"]}
    )
    event = posted.json()["event_id"]
    answer = await below.http.get(f"/gradio_api/call/converse/{event}")
    [url] = re.findall(r'"url": "([^"]+)"', answer.text)
    assert f"{OURS}/gradio_api/file=" in url
    fetched = await below.http.get(url.partition(OURS)[2])
    assert (fetched.status_code, fetched.content[:4]) == (200, b"RIFF")


async def test_whoever_asks_at_the_usual_paths_is_answered_there(app: OpenApp) -> None:
    assert (await app.http.get("/config")).json()["root"] == "http://localhost"
    assert 'content="https://talk.example.org/"' in (await app.http.get("/")).text
    assert '"several": true' in (await app.http.get("/")).text.replace('":true', '": true')


async def test_clients_without_cookies_are_told_the_path(app: OpenApp) -> None:
    assert (await app.http.get("/webrtc/config")).json()["instance_path"] == OURS


async def test_a_login_counts_at_the_other_servers(tmp_path: Path) -> None:
    variables = {"ENGINE": "echo", "APP_PASSWORD": "a long password for tests"}
    async with (
        open_app(tmp_path / "1", INSTANCE_PATH="/gpu-1", **variables) as first,
        open_app(tmp_path / "2", INSTANCE_PATH="/gpu-2", **variables) as second,
    ):
        login = {"username": "x", "password": variables["APP_PASSWORD"]}
        given = await first.http.post("/login", data=login)
        second.http.cookies.update(given.cookies)
        assert (await second.http.get("/voices")).status_code == 200
        second.http.cookies.clear()
        assert (await second.http.get("/voices")).status_code == 401


async def test_twilio_is_let_in_without_the_password_wherever_it_asks(tmp_path: Path) -> None:
    """At each route that is to have its signature, below the path of this process, and of one that has
    stopped."""
    password = {"APP_PASSWORD": "a long password for tests"}
    async with open_app(tmp_path, ENGINE="echo", INSTANCE_PATH=OURS, **TELEPHONE, **password) as app:
        await app.loaded()
        described = app.asgi.openapi()["paths"]
        signed = [path for path, route in described.items() if is_signed(route)]
        assert set(signed) == set(WEBHOOKS)
        twilio = TwilioAccount(app.http)
        for path in [*signed, *(OURS + path for path in signed), *(f"/gpu-2{path}" for path in FOLLOWING)]:
            answer = await twilio.post(path, "CA1", CallStatus="completed")
            assert (path, answer.status_code) == (path, 204 if path.endswith("status") else 200)
            assert (await app.http.post(path)).status_code == 403, "it has no signature"


def is_signed(route: dict[str, Any]) -> bool:
    return route.get("post", {}).get("security") == NEEDS_SIGNATURE["security"]


@pytest.mark.parametrize("path", ["/api", "/Twilio", "/calls", "/config", "/v1", "/realtime"])
async def test_a_path_that_is_taken_is_refused(tmp_path: Path, path: str) -> None:
    variables = {"ENGINE": "echo", "RECORDINGS_DIR": str(tmp_path), "INSTANCE_PATH": path}
    with pytest.raises(SettingsError, match="Choose another") as refused:
        build_app(Settings.from_mapping(variables))
    assert refused.value.setting == "INSTANCE_PATH"
