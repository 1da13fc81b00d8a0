"""Behind a reverse proxy that serves the app at /voice/, as nginx does with a slash after proxy_pass."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
import soundfile
from httpx import ASGITransport, AsyncClient
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.support.page_session import LIBRARIES_WARN, OpenApp, PageSession, open_app

pytestmark = [LIBRARIES_WARN, pytest.mark.asyncio(loop_scope="module")]

PUBLIC = "https://talk.example.org/voice"
PASSWORD = "a long password for tests"
VARIABLES = {"SERVER_URL": PUBLIC, "APP_PASSWORD": PASSWORD}


class Nginx:
    """An ASGI app that passes on what is under /voice/. ``tells``: the host that was asked for, and who asks;
    nginx's default is to name itself."""

    def __init__(self, app: ASGIApp, tells: bool) -> None:
        self._app = app
        self._tells = tells

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        assert path.startswith("/voice/"), path
        told = (
            [
                (b"host", b"talk.example.org"),
                (b"x-forwarded-for", b"203.0.113.9"),
                (b"x-forwarded-proto", b"https"),
            ]
            if self._tells
            else [(b"host", b"127.0.0.1:7860")]
        )
        headers = [(name, value) for name, value in scope["headers"] if name != b"host"]
        inner = {
            **scope,
            "path": path[6:],
            "raw_path": scope["raw_path"][6:],
            "scheme": "http",
            "headers": [*headers, *told],
            "client": ("127.0.0.1", 4711),
        }
        await self._app(inner, receive, send)


@pytest_asyncio.fixture(loop_scope="module", params=["told", "plain"])
async def outside(app: OpenApp, request: pytest.FixtureRequest) -> AsyncIterator[OpenApp]:
    """As it is seen from outside, logged in."""
    asgi = vars(app)["_app"]
    transport = ASGITransport(Nginx(asgi, request.param == "told"))
    async with AsyncClient(transport=transport, base_url=PUBLIC, timeout=30) as http:
        right = await http.post("/login", data={"username": "x", "password": PASSWORD})
        assert right.status_code == 200
        yield OpenApp(asgi, http)


async def test_an_answers_address_can_be_fetched(outside: OpenApp, tmp_path: Path):
    clip = tmp_path / "clip.wav"
    soundfile.write(clip, 0.3 * np.sin(np.arange(24_000) / 8), 24_000)
    page = PageSession(outside)
    posted = await outside.http.post(
        "/gradio_api/call/converse", json={"data": [await page.upload(clip), "NATF2"]}
    )
    event = posted.json()["event_id"]
    answer = await outside.http.get(f"/gradio_api/call/converse/{event}")
    [url] = re.findall(r'"url": "([^"]+)"', answer.text)
    assert url.startswith(f"{PUBLIC}/gradio_api/file=")
    fetched = await outside.http.get(url)
    assert (fetched.status_code, fetched.content[:4]) == (200, b"RIFF")


async def test_the_page_and_its_configuration_know_the_prefix(outside: OpenApp):
    assert (await outside.http.get("/config")).json()["root"] == PUBLIC
    page = await outside.http.get("/")
    assert page.status_code == 200
    # No address of ours is from the root of the host, where another app is.
    assert re.findall(r'(?:src|href)="/[^"]*"', page.text) == []
    for path in set(re.findall(r'(?:src|href)="\./([^"]+\.(?:js|css))"', page.text)):
        assert (await outside.http.get(f"/{path}")).status_code == 200


async def test_links_of_the_page_are_relative(outside: OpenApp):
    page = (await outside.http.get("/")).text
    sources = re.findall(r'(?:src|href)="(page/[^"]+|favicon.ico)"', page)
    assert len(sources) == 3
    for source in sources:
        assert (await outside.http.get(f"{PUBLIC}/{source}")).status_code == 200


async def test_the_login_leads_into_the_prefix(outside: OpenApp):
    outside.http.cookies.clear()
    html = {"Accept": "text/html"}
    closed = await outside.http.get("/moshi/", headers=html)
    assert str(closed.url.join(closed.headers["location"])) == f"{PUBLIC}/?next=moshi%2F"
    right = await outside.http.post("/login", data={"username": "x", "password": PASSWORD})
    assert all("Path=/;" in cookie for cookie in right.headers.get_list("set-cookie"))
    back = await outside.http.get("/?next=moshi%2F", headers=html)
    assert str(back.url.join(back.headers["location"])) == f"{PUBLIC}/moshi/"
    out = await outside.http.get("/logout", headers=html)
    assert str(out.url.join(out.headers["location"])) == f"{PUBLIC}/"


async def test_the_websocket_is_explained_with_the_prefix(outside: OpenApp):
    assert "wss://talk.example.org/voice/api/chat?" in (await outside.http.get("/api/chat")).text


async def test_the_api_is_described_at_its_public_address(outside: OpenApp):
    described = (await outside.http.get("/openapi.json")).json()
    assert described["servers"] == [{"url": PUBLIC}]
    assert 'href="openapi.json"' in (await outside.http.get("/docs")).text


async def test_without_a_path_everybody_is_answered_where_they_asked(tmp_path: Path):
    async with open_app(tmp_path, ENGINE="echo", SERVER_URL="https://talk.example.org") as app:
        assert (await app.http.get("/config")).json()["root"] == "http://localhost"
