"""Calls that machines make, against a stand-in of Twilio's REST API with the real client."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from twilio.rest import Client

from personaplex_ui.audio.frames import FRAME_SAMPLES
from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.channels.twilio.account import PhoneAccount
from personaplex_ui.channels.twilio.media_stream.protocol import Start
from personaplex_ui.channels.twilio.twiml import join_parameters
from tests.support.phone_app import (
    BEARER,
    CALL_SID,
    DEFAULT_ROLE,
    PhoneApp,
    phone_app,
    read_twiml,
)
from tests.support.running import until
from tests.support.twilio_rest import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    PHONE_NUMBER,
    TwilioRest,
    client_of,
)

TO = "+4930123456789"
OUTBOUND = "/twilio/outbound"
ROLE = ("You are <b>\"Tom\" & 'Jerry'</b>.\n" * 100)[:2_000].strip()


@pytest.fixture
async def app(tmp_path: Path, client: Client) -> AsyncIterator[PhoneApp]:
    async with phone_app(tmp_path, client=client, record=True) as app:
        yield app


async def refused(app: PhoneApp, status: int, path: str = OUTBOUND, **request: Any) -> str:
    """The sentence with which a POST is refused; by itself it would call a number."""
    given: dict[str, Any] = {"headers": BEARER} | (request or {"params": {"to": TO}})
    response = await app.http.post(path, **given)
    assert response.status_code == status, response.text
    return response.json()["detail"]


async def live(app: PhoneApp, start: Start) -> LiveCall:
    grant = app.phone.streams.admit(start)
    call = app.call_manager.open(grant.settings, grant.owner, transport=grant.transport)
    grant.on_call(call)
    await call.live.wait()
    return call


async def dial(app: PhoneApp, **values: str) -> dict[str, str]:
    response = await app.http.post(OUTBOUND, params={"to": TO, **values}, headers=BEARER)
    assert response.status_code == 200, response.text
    return response.json()


async def answer(app: PhoneApp, rest: TwilioRest, call_sid: str) -> Any:
    """Twilio, once the number has answered: it asks the webhook that it was given."""
    url = urlsplit(rest.calls[-1]["Url"])
    fields = {"CallSid": call_sid, "From": PHONE_NUMBER, "To": TO, "Direction": "outbound-api"}
    return read_twiml(await app.twilio(f"{url.path}?{url.query}", fields))


async def status(app: PhoneApp, call_sid: str) -> dict[str, Any]:
    response = await app.http.get(f"/twilio/status/{call_sid}", headers=BEARER)
    assert response.status_code == 200, response.text
    return response.json()


async def test_a_call_is_made_answered_and_ended(app: PhoneApp, rest: TwilioRest, tmp_path: Path) -> None:
    made = await dial(app, voice_prompt="NATM1.pt", text_prompt=ROLE)
    assert made.keys() == {"call_sid", "status"}
    assert made["status"] == "queued"
    (asked,) = rest.calls
    assert (asked["To"], asked["From"]) == (TO, PHONE_NUMBER)
    assert asked["StatusCallback"] == "https://phone.example.org/twilio/status"
    assert asked["Url"].startswith("https://phone.example.org/twilio/outbound/answered?key=")
    assert len(asked["Url"]) < 120

    call_sid = made["call_sid"]
    fields = {"CallSid": call_sid, "CallStatus": "ringing", "Direction": "outbound-api", "To": TO}
    await app.twilio("/twilio/status", fields)
    assert (await status(app, call_sid))["status"] == "ringing"

    answered = await answer(app, rest, call_sid)
    assert answered.said == "This call may be recorded."
    values = join_parameters(answered.parameters)
    assert (values["voice_prompt"], values["text_prompt"]) == ("NATM1", ROLE)
    call = await live(app, answered.start(call_sid))
    call.hear(np.zeros(2 * FRAME_SAMPLES, dtype=np.float32))
    assert await call.next_answer(10.0) is not None
    await until(lambda: call.elapsed_sec > 0.25)  # shorter recordings are not kept

    seen = await status(app, call_sid)
    assert (seen["direction"], seen["number"], seen["status"]) == ("outbound", "+49…6789", "in-progress")
    assert TO not in json.dumps(seen)
    response = await app.http.post(f"/twilio/hangup/{call_sid}", headers=BEARER)
    assert response.status_code == 200
    await app.call_manager.ended(call)
    assert rest.asked[-1].path.endswith(f"/Calls/{call_sid}.json")
    assert rest.asked[-1].form == {"Status": ["completed"]}
    await app.twilio("/twilio/status", fields | {"CallStatus": "completed"})
    seen = await status(app, call_sid)
    assert (seen["status"], seen["end"]) == ("completed", "hung_up")
    assert seen["ended_at"] >= seen["started_at"]

    response = await app.http.get(seen["recording"], headers=BEARER)
    assert response.status_code == 200
    assert response.headers["content-type"] == "audio/wav"
    assert response.content.startswith(b"RIFF")
    asked_before = len(rest.asked)
    await app.http.post(f"/twilio/hangup/{call_sid}", headers=BEARER)
    assert len(rest.asked) == asked_before, "it is over"


@pytest.mark.parametrize("kind", ["params", "data", "json"])
@pytest.mark.parametrize(
    ("values", "persona"),
    [({"text_prompt": "Be brief."}, ("NATF2", "Be brief.")), ({}, ("NATF2", DEFAULT_ROLE))],
)
async def test_the_values_may_stand_in_a_form_or_in_json_and_be_left_out(
    app: PhoneApp, rest: TwilioRest, kind: str, values: dict[str, str], persona: tuple[str, str]
) -> None:
    given: dict[str, Any] = {kind: {"to": TO} | values}
    response = await app.http.post(OUTBOUND, headers=BEARER, **given)
    assert response.status_code == 200, response.text
    answered = await answer(app, rest, response.json()["call_sid"])
    given = join_parameters(answered.parameters)
    assert (given["voice_prompt"], given["text_prompt"]) == persona


async def test_a_persona_waits_for_one_answer(app: PhoneApp, rest: TwilioRest) -> None:
    call_sid = (await dial(app))["call_sid"]
    assert (await answer(app, rest, call_sid)).stream_url
    late = await answer(app, rest, call_sid)
    assert ("not answered in time" in late.said, late.hangs_up) == (True, True)


async def test_when_all_lines_are_busy_nobody_is_called_and_who_was_is_told(
    app: PhoneApp, rest: TwilioRest
) -> None:
    call_sid = (await dial(app))["call_sid"]
    await live(app, (await app.inbound()).start())
    assert "lines are busy" in await refused(app, 503)
    assert len(rest.calls) == 1
    answered = await answer(app, rest, call_sid)
    assert answered.said.startswith("We have called you")
    assert answered.hangs_up


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", f"{OUTBOUND}?to=%2B4930123456789"),
        ("GET", f"/twilio/status/{CALL_SID}"),
        ("POST", f"/twilio/hangup/{CALL_SID}"),
        ("GET", f"/twilio/recordings/{CALL_SID}.wav"),
    ],
)
async def test_only_the_api_key_opens(tmp_path: Path, rest: TwilioRest, method: str, path: str) -> None:
    with client_of(rest) as client:
        async with phone_app(tmp_path, client=client) as app:
            for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eDp5"}):
                response = await app.http.request(method, path, headers=headers)
                assert response.status_code == 401
                assert response.headers["www-authenticate"] == "Bearer"
        async with phone_app(tmp_path, client=client, has_api_key=False) as app:
            response = await app.http.request(method, path, headers=BEARER)
            assert response.status_code == 503
            assert "API_KEY" in response.json()["detail"]
    assert rest.asked == []


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, "country code"),
        ({"to": "911"}, "Short numbers"),
        ({"to": 4930123456789}, "country code"),
        ({"to": "+19005551234"}, "premium"),
        ({"to": TO, "voice_prompt": "../../etc/passwd"}, "no voice"),
        ({"to": TO, "voice_prompt": 7}, "must be a name"),
        ({"to": TO, "text_prompt": "x" * 2_001}, "at most 2,000"),
        ({"to": TO, "text_prompt": ["a"]}, "must be text"),
        ({"to": TO, "text_prompt": "one two three four"}, "3"),
        ([], "JSON object"),
    ],
)
async def test_what_cannot_be_used_is_refused_before_anybody_is_called(
    app: PhoneApp, rest: TwilioRest, values: object, sentence: str
) -> None:
    app.model.most_words = 3 if "four" in str(values) else 0
    assert sentence in await refused(app, 422, json=values)
    assert rest.asked == []


@pytest.mark.parametrize(
    ("content", "kind", "status", "sentence"),
    [
        (b"{", "application/json", 422, "JSON object"),
        (b"[" * 60_000, "application/json", 422, "JSON object"),
        (b"x" * 70_000, "application/x-www-form-urlencoded", 413, "64 KiB"),
        (f"to={TO}", "text/plain", 415, "x-www-form-urlencoded"),
        (b"--x--", "multipart/form-data; boundary=x", 415, "x-www-form-urlencoded"),
    ],
)
async def test_bodies_that_are_none_are_refused_in_words(
    app: PhoneApp, rest: TwilioRest, content: bytes, kind: str, status: int, sentence: str
) -> None:
    assert sentence in await refused(app, status, content=content, headers=BEARER | {"Content-Type": kind})
    assert rest.asked == []


async def test_a_kind_of_body_is_known_however_it_is_written(app: PhoneApp) -> None:
    headers = BEARER | {"Content-Type": "application/X-WWW-Form-Urlencoded; charset=utf-8"}
    response = await app.http.post(OUTBOUND, content=f"to=%2B{TO[1:]}", headers=headers)
    assert response.status_code == 200


async def test_a_limit_of_calls_a_day(tmp_path: Path, client: Client, rest: TwilioRest) -> None:
    async with phone_app(tmp_path, client=client, daily_limit=1) as app:
        assert app.phone.outbound.left_today == 1
        rest.refuse = (400, 21211)
        await refused(app, 503)
        assert app.phone.outbound.left_today == 1
        rest.refuse = (503, 20500)  # it may have called all the same
        await refused(app, 503)
        rest.refuse = None
        assert app.phone.outbound.left_today == 0
        assert "OUTBOUND_DAILY_LIMIT" in await refused(app, 429)
        app.clock.now += 86_400
        await dial(app)


async def test_a_refusal_of_twilio_shows_no_secret(app: PhoneApp, rest: TwilioRest) -> None:
    rest.refuse = (401, 20003)
    sentence = await refused(app, 503)
    assert "TWILIO_AUTH_TOKEN" in sentence
    for secret in (AUTH_TOKEN, ACCOUNT_SID, TO):
        assert secret not in sentence
    assert app.phone.call_log.newest_first == []


async def test_what_is_missing_is_named(tmp_path: Path, client: Client) -> None:
    async with phone_app(tmp_path, account=PhoneAccount(auth_token=AUTH_TOKEN)) as app:
        assert "TWILIO_ACCOUNT_SID, TWILIO_PHONE_NUMBER" in await refused(app, 503)
        assert (await app.inbound()).stream_url
        assert app.phone.outbound.left_today == 0
    async with phone_app(tmp_path, client=client, server_url=None) as app:
        assert "SERVER_URL" in await refused(app, 503)


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("busy", "The number was busy."),
        ("no-answer", "Nobody answered."),
        ("failed", "The call could not be connected."),
        ("canceled", "The call was cancelled before it was answered."),
    ],
)
async def test_a_call_nobody_takes_is_told(app: PhoneApp, told: str, reason: str) -> None:
    call_sid = (await dial(app))["call_sid"]
    fields = {"CallSid": call_sid, "CallStatus": told, "Direction": "outbound-api", "To": TO}
    await app.twilio("/twilio/status", fields)
    seen = await status(app, call_sid)
    assert (seen["status"], seen["reason"], seen["recording"]) == (told, reason, None)


async def test_a_call_that_is_not_known_is_not_found(app: PhoneApp) -> None:
    no_call, no_recording = "no such telephone call", "no recording of this call"
    for method, path, sentence in (
        ("GET", "status/CA9", no_call),
        ("POST", "hangup/CA9", no_call),
        ("GET", "recordings/CA9.wav", no_recording),
    ):
        response = await app.http.request(method, f"/twilio/{path}", headers=BEARER)
        assert response.status_code == 404
        assert sentence in response.json()["detail"]
    call_sid = (await dial(app))["call_sid"]
    response = await app.http.get(f"/twilio/recordings/{call_sid}.wav", headers=BEARER)
    assert response.status_code == 404
    assert "PHONE_RECORD" in response.json()["detail"]


async def test_an_end_that_twilio_does_not_hear_of_is_told(app: PhoneApp, rest: TwilioRest) -> None:
    call_sid = (await dial(app))["call_sid"]
    rest.refuse = (401, 20003)
    await refused(app, 503, f"/twilio/hangup/{call_sid}")
    assert (await status(app, call_sid))["status"] == "queued"


async def test_twilio_is_told_of_an_end_until_it_knows(app: PhoneApp, rest: TwilioRest) -> None:
    call_sid = (await dial(app))["call_sid"]
    call = await live(app, (await answer(app, rest, call_sid)).start(call_sid))
    rest.refuse = (503, 20500)
    for _ in range(2):
        await refused(app, 503, f"/twilio/hangup/{call_sid}")
        await app.call_manager.ended(call)
        seen = await status(app, call_sid)
        assert (seen["status"], seen["end"], seen["ended_at"] is not None) == ("unknown", "hung_up", True)
    rest.refuse = None
    response = await app.http.post(f"/twilio/hangup/{call_sid}", headers=BEARER)
    assert (response.status_code, response.json()["status"]) == (200, "completed")
    assert sum(asked.form == {"Status": ["completed"]} for asked in rest.asked) == 3


async def test_a_call_that_twilio_says_is_over_has_no_status_of_ours(app: PhoneApp, rest: TwilioRest) -> None:
    call_sid = (await dial(app))["call_sid"]
    rest.refuse = (400, 21220)
    response = await app.http.post(f"/twilio/hangup/{call_sid}", headers=BEARER)
    assert (response.status_code, response.json()["status"]) == (200, "queued")


async def test_calls_that_ring_are_cancelled_at_the_end(app: PhoneApp, rest: TwilioRest) -> None:
    ringing, answered = (await dial(app))["call_sid"], (await dial(app))["call_sid"]
    over = {"CallSid": answered, "CallStatus": "busy", "Direction": "outbound-api", "To": TO}
    await app.twilio("/twilio/status", over)
    await app.phone.close()
    cancelled = [asked.path for asked in rest.asked if asked.form.get("Status") == ["completed"]]
    assert [ringing in path for path in cancelled] == [True]
    await app.phone.close()
