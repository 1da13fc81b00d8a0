"""HEAD is answered as GET, and methods that an address lacks with 405, with a password and without."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from personaplex_ui.web.security.credentials import COOKIE
from tests.support.page_session import LIBRARIES_WARN, OpenApp, open_app

pytestmark = [LIBRARIES_WARN, pytest.mark.asyncio(loop_scope="module")]

VARIABLES = {"API_KEY": "a-key-for-machines", "APP_PASSWORD": ""}

PASSWORD = "a long password for tests"
KEY = {"Authorization": "Bearer a-key-for-machines"}
GETS = (
    "/health",
    "/voices",
    "/metrics",
    "/openapi.json",
    "/docs",
    "/voices/NATF2/preview.wav",
    "/voices/NOBODY/preview.wav",
    "/calls/x/recording.wav",
    "/calls/x/transcript.json",
    "/api/chat",
    "/ws/chat",
    "/twilio/status/CA0",
    "/twilio/recordings/CA0.wav",
    "/moshi/",
    "/",
    "/config",
    "/theme.css",
    "/gradio_api/info",
    "/gradio_api/file=/nowhere",
)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def closed_app(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OpenApp]:
    closed = VARIABLES | {"APP_PASSWORD": PASSWORD}
    async with open_app(tmp_path_factory.mktemp("closed"), ENGINE="echo", **closed) as app:
        await app.loaded()
        yield app


@pytest.mark.parametrize("path", GETS)
async def test_head_is_get_without_the_body(app: OpenApp, path: str):
    got = await app.http.get(path, headers=KEY)
    head = await app.http.head(path, headers=KEY)
    assert head.status_code == got.status_code
    assert head.content == b""
    assert head.headers["content-type"] == got.headers["content-type"]
    if not path.startswith(("/metrics", "/health")) and "content-length" in got.headers:
        assert head.headers["content-length"] == got.headers["content-length"]


@pytest.mark.parametrize("path", GETS)
async def test_head_with_a_password(closed_app: OpenApp, path: str):
    for headers in ({}, KEY):
        got = await closed_app.http.get(path, headers=headers)
        head = await closed_app.http.head(path, headers=headers)
        assert (head.status_code, head.content) == (got.status_code, b"")
    assert (await closed_app.http.head("/health")).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"])
@pytest.mark.parametrize("path", GETS)
async def test_another_method_is_not_allowed(app: OpenApp, path: str, method: str):
    answer = await app.http.request(method, path, headers=KEY)
    assert answer.status_code == 405
    assert {"GET", "HEAD"} <= set(answer.headers["allow"].split(", "))
    assert answer.json()["detail"].endswith(".")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/twilio/inbound", "POST"),
        ("/twilio/outbound", "POST"),
        ("/twilio/hangup/CA0", "POST"),
        ("/gradio_api/queue/join", "POST"),
        ("/gradio_api/upload", "POST"),
        ("/gradio_api/queue/data", "GET"),
        ("/gradio_api/heartbeat/x", "GET"),
    ],
)
@pytest.mark.parametrize("method", ["HEAD", "DELETE", "PUT"])
async def test_what_is_no_page_has_its_methods_too(app: OpenApp, path: str, allowed: str, method: str):
    answer = await app.http.request(method, path, headers=KEY)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


async def test_the_public_routes_of_a_closed_app_name_their_methods(closed_app: OpenApp):
    for path in ("/health", "/twilio/inbound", "/", "/favicon.ico"):
        answer = await closed_app.http.request("DELETE", path)
        assert answer.status_code == 405
        assert answer.headers["allow"]
    assert (await closed_app.http.delete("/voices")).status_code == 401


async def test_head_does_not_log_out(closed_app: OpenApp):
    logged_in = await closed_app.http.post("/login", data={"username": "x", "password": PASSWORD})
    assert COOKIE in logged_in.cookies
    assert (await closed_app.http.head("/logout")).status_code == 405
    assert (await closed_app.http.get("/voices")).status_code == 200
    closed_app.http.cookies.clear()
