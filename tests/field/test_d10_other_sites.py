"""What pages of other sites, and other names for this machine, cannot do."""

import re
from pathlib import Path

import pytest

from tests.support.page_session import LIBRARIES_WARN, OpenApp, open_app
from tests.support.protected_app import ProtectedApp, ask, cookie, open_websocket

pytestmark = [LIBRARIES_WARN, pytest.mark.asyncio(loop_scope="module")]

VARIABLES = {
    "APP_PASSWORD": "",
    "SERVER_URL": "https://talk.example.org",
    "ALLOWED_ORIGINS": "https://friend.example",
}

REBOUND = "evil.example:7860"


# DNS rebinding ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("origin", [{}, {"Origin": f"http://{REBOUND}"}])
async def test_a_name_that_is_not_ours_is_not_answered(app: OpenApp, origin: dict[str, str]):
    headers = {"Host": REBOUND, **origin}
    for method, path in (
        *[("GET", path) for path in ("/", "/voices", "/health", "/config", "/docs", "/metrics")],
        *[("POST", f"/gradio_api/{path}") for path in ("upload", "queue/join", "call/converse")],
    ):
        answer = await app.http.request(method, path, headers=headers)
        assert answer.status_code == 421, path
        assert "SERVER_URL" in answer.json()["detail"]
    for path in ("/api/chat", "/ws/chat"):
        sent = await open_websocket(vars(app)["_app"], path, headers)
        assert [message["type"] for message in sent] == ["websocket.close"]


@pytest.mark.parametrize(
    "added",
    [
        *[{"Origin": origin} for origin in ("http://[::1", "http://]", "http://", "null", "http:", "é")],
        {"Origin": f"http://{REBOUND}", "X-Forwarded-Proto": "https", "X-Forwarded-Host": REBOUND},
    ],
)
async def test_nor_with_an_origin_that_is_none_or_what_a_script_can_add(app: OpenApp, added: dict[str, str]):
    said = {"Host": REBOUND, "X-Forwarded-For": "10.0.0.1", **added}
    headers = [(name, value.encode("latin-1")) for name, value in said.items()]
    answer = await app.http.post("/gradio_api/queue/join", json={}, headers=headers)  # type: ignore[arg-type]
    assert answer.status_code in (400, 421)


PLATFORM = "app.modal.example"


@pytest.mark.parametrize(
    ("host", "signs"),
    [
        # Names that nobody outside can own, or that we were told.
        *[
            (host, {})
            for host in ("localhost", "localhost:7860", "127.0.0.1:7860", "[::1]:7860", "LOCALHOST.")
        ],
        *[(host, {}) for host in ("192.168.1.20:7860", "10.0.0.7", "8.8.8.8:80", "[fe80::1]:7860")],
        *[
            (host, {})
            for host in ("app.localhost", "personaplex", "gpu-box:7860", "gpu.local", "gpu.lan:7860")
        ],
        *[(host, {}) for host in ("gpu.home.arpa", "host.docker.internal:7860", "voice.corp")],
        *[(host, {}) for host in ("talk.example.org", "TALK.example.org:443", "friend.example")],
        # Platforms and tunnels that end https.
        (PLATFORM, {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}),
        (PLATFORM, {"Sec-Fetch-Site": "same-origin"}),
        (PLATFORM, {"Origin": f"https://{PLATFORM}"}),
        (PLATFORM, {"X-Forwarded-For": "203.0.113.5", "X-Forwarded-Proto": "https"}),
    ],
)
async def test_other_names_are_answered(app: OpenApp, host: str, signs: dict[str, str]):
    for headers in (signs, signs | {"Origin": f"https://{host}" if signs else f"http://{host}"}):
        assert (await app.http.get("/voices", headers={"Host": host, **headers})).status_code == 200


async def test_with_a_password_any_name_will_do(tmp_path: Path):
    async with open_app(tmp_path, ENGINE="echo", APP_PASSWORD="a long password for tests") as app:
        assert (await app.http.get("/health", headers={"Host": REBOUND})).status_code in (200, 503)
        assert (await app.http.get("/voices", headers={"Host": REBOUND})).status_code == 401


# Headers, frames, other hosts ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    ["/", "/voices", "/docs", "/nothing", "/health", "/gradio_api/file=/x", "/assets/nothing", "/api/chat"],
)
async def test_browsers_are_told_what_to_keep_to(app: OpenApp, path: str):
    headers = (await app.http.get(path)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    ancestors = headers["content-security-policy"].split("; ")[0].split()
    assert ancestors[:2] == ["frame-ancestors", "'self'"]
    assert {"https://huggingface.co", "https://*.hf.space", "https://friend.example"} <= set(ancestors)
    assert "x-frame-options" not in headers  # it would keep a Space out of its own page


async def test_with_all_origins_allowed_anybody_may_frame_it(tmp_path: Path):
    async with open_app(tmp_path, ENGINE="echo", ALLOWED_ORIGINS="*") as app:
        headers = (await app.http.get("/voices")).headers
        assert ("content-security-policy" in headers, headers["x-content-type-options"]) == (False, "nosniff")


async def test_the_page_about_the_api_loads_nothing(app: OpenApp):
    page = (await app.http.get("/docs")).text
    assert re.findall(r"(?:src|href)=\"([^\"]+)\"|<script", page) == ["openapi.json"]
    assert re.findall(r"https?://(?!talk\.example)[^\s\"<]+", page) == []
    for path in (await app.http.get("/openapi.json")).json()["paths"]:
        assert path in page


async def test_gradios_proxy_and_redirects_are_gone(app: OpenApp):
    for path in (
        "file=http://evil.example/",
        "file=https://evil.example/x.wav",
        "proxy=https://evil.example/",
    ):
        answer = await app.http.get(f"/gradio_api/{path}")
        assert (answer.status_code, "location" in answer.headers) == (404, False)


# Logging out -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asks", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        *[
            ({"Referer": referer}, 403)
            for referer in ("https://evil.example/page", "http://[::1/page", "junk")
        ],
        ({}, 303),
        ({"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}, 303),
        ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"}, 303),
        ({"Referer": "http://localhost/"}, 303),
    ],
)
async def test_the_visitor_logs_out_and_another_site_logs_nobody_out(asks: dict[str, str], status: int):
    protected = ProtectedApp()
    inside = await cookie(protected)
    answer = await ask(protected, "/logout", headers=inside | asks)
    assert (answer.status_code, "set-cookie" in answer.headers) == (status, status == 303)
    assert (await ask(protected, headers=inside)).status_code == (401 if status == 303 else 200)
