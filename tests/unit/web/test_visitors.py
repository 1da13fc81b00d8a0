"""The minutes of a visitor at each door of the app: what is left, what is refused, who is not counted."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from personaplex_ui.audio.files.clip_file import write_wav
from personaplex_ui.calls.allowance import Visitor
from personaplex_ui.web.security.session_cookie import COOKIE
from tests.support.clients.offers import SOUND_OFFER, body
from tests.support.page_session import LIBRARIES_WARN, EventRefused, OpenApp, PageSession, open_app
from tests.support.protected_app import open_websocket
from tests.support.voice_recordings import speech

pytestmark = LIBRARIES_WARN

KEY = "a key of the operator's, long enough"
ANN = "A" * 43
WITH_COOKIE = {"Cookie": f"{COOKIE}={ANN}"}
WITH_KEY = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[OpenApp]:
    """With one minute a day, of which Ann has used all."""
    variables = {"ENGINE": "echo", "API_KEY": KEY, "VISITOR_MINUTES": "1", "BUSY_CALL_SECONDS": "30"}
    async with open_app(tmp_path, **variables) as app:
        await app.loaded()
        app.call_manager.allowance.spend(Visitor(ANN), 50.0)
        yield app


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.wav"
    write_wav(path, speech(0.8))
    return path


async def test_what_is_left(app: OpenApp):
    allowance = app.call_manager.allowance
    asked = [{}, WITH_COOKIE, WITH_COOKIE | WITH_KEY, WITH_COOKIE | {"Authorization": "Bearer wrong"}]
    told = [(await app.get("/visitor", headers=headers)).json() for headers in asked]
    assert [each["minutes_left"] for each in told] == [1.0, 0.0, None, 0.0]
    assert [each["again_at"] for each in told] == [allowance.again_at] * 2 + [None, allowance.again_at]


async def test_no_call_over_webrtc_begins_without_minutes(app: OpenApp):
    answer = await app.http.post("/webrtc/offer", json=body(SOUND_OFFER), headers=WITH_COOKIE)
    assert (answer.status_code, answer.json()["error"]) == (429, "minutes_used_up")
    assert "for today are used up" in answer.json()["detail"]
    for headers in (WITH_COOKIE | WITH_KEY, {}):
        answer = await app.http.post("/webrtc/offer", json=body(SOUND_OFFER), headers=headers)
        assert answer.status_code == 200


@pytest.mark.parametrize("query", ["", "facts=1"])
async def test_no_call_over_a_websocket_begins_without_minutes(app: OpenApp, query: str):
    with_origin = WITH_COOKIE | {"Origin": "http://localhost"}
    sent = await open_websocket(app.asgi, "/api/chat", with_origin, query, address="")
    assert "for today are used up" in str(sent)
    sent = await open_websocket(app.asgi, "/api/chat", WITH_COOKIE | WITH_KEY, query, address="")
    assert "for today are used up" not in str(sent)
    assert sent[0]["type"] == "websocket.accept"


async def test_no_recording_is_answered_without_minutes(app: OpenApp, clip: Path):
    app.http.headers.update(WITH_COOKIE)
    with pytest.raises(EventRefused, match="for today are used up"):
        await PageSession(app).converse(clip, voice="NATF2")
    app.http.headers.update(WITH_KEY)
    await PageSession(app).converse(clip, voice="NATF2")


async def test_an_answered_recording_counts_by_its_length(app: OpenApp, clip: Path):
    bob = "B" * 43
    app.http.headers.update({"Cookie": f"{COOKIE}={bob}"})
    await PageSession(app).converse(clip, voice="NATF2")
    assert 0.0 < 60 - app.call_manager.allowance.left_sec(Visitor(bob)) < 5.0


async def test_the_page_tells_both_limits(app: OpenApp):
    html = (await app.get("/", headers={"Accept": "text/html"})).text
    assert '"visitorMinutes": 1' in html
    assert '"busyCallSec": 30' in html
    assert '"browserCalls": "webrtc"' in html


async def test_without_a_limit_nothing_is_told(tmp_path: Path):
    async with open_app(tmp_path, ENGINE="echo") as app:
        assert (await app.get("/visitor")).json() == {"minutes_left": None, "again_at": None}
