"""Twilio's webhooks: who is believed, what is answered, who may come in by the stream."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.calls.snapshot import End, Transport
from personaplex_ui.channels.twilio import spoken_sentences
from personaplex_ui.channels.twilio.account import PhoneAccount
from personaplex_ui.channels.twilio.call_log import PhoneCall
from personaplex_ui.channels.twilio.call_tokens import TokenRefused
from personaplex_ui.channels.twilio.media_stream.protocol import Start
from personaplex_ui.channels.twilio.stream_grants import owner_of
from personaplex_ui.channels.twilio.twiml import join_parameters
from personaplex_ui.errors import NoFreeSlot, PersonaplexError
from tests.support.phone_app import (
    CALL_SID,
    CALLER,
    DEFAULT_ROLE,
    SERVER_URL,
    PhoneApp,
    phone_app,
    read_twiml,
)
from tests.support.running import until
from tests.support.twilio_rest import ACCOUNT_SID, AUTH_TOKEN

INBOUND = "/twilio/inbound"
WEBHOOKS = (INBOUND, "/twilio/ended", "/twilio/status", "/twilio/outbound/answered")
NASTY = "You are <b>\"Tom\" & 'Jerry'</b>; a > b\n\tGrüße, 你好 👋 "


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[PhoneApp]:
    async with phone_app(tmp_path) as app:
        yield app


async def live_call(app: PhoneApp, call_sid: str = CALL_SID) -> LiveCall:
    """What the stream does once it is admitted."""
    grant = app.phone.streams.admit((await app.inbound(call_sid)).start(call_sid))
    call = app.call_manager.open(grant.settings, grant.owner, transport=grant.transport)
    grant.on_call(call)
    await call.live.wait()
    return call


def noted(app: PhoneApp, call_sid: str = CALL_SID) -> PhoneCall:
    entry = app.phone.call_log.get(call_sid)
    assert entry is not None
    return entry


# Signatures ------------------------------------------------------------------------------------------


async def test_a_signed_call_is_connected(app: PhoneApp) -> None:
    answered = await app.inbound()
    assert answered.said == ""
    assert answered.stream_url == "wss://phone.example.org/twilio/media-stream"
    assert answered.action == "https://phone.example.org/twilio/ended"
    values = join_parameters(answered.parameters)
    assert values.keys() == {"voice_prompt", "text_prompt", "token"}
    assert (values["voice_prompt"], values["text_prompt"]) == ("NATF2", DEFAULT_ROLE)


@pytest.mark.parametrize("path", WEBHOOKS)
async def test_what_twilio_did_not_sign_is_refused(app: PhoneApp, path: str) -> None:
    refused = [
        await app.twilio(path, token="another account's"),
        await app.twilio(path, signed_url="https://other.example.org" + path),
        await app.twilio(path, signed_url="http://stranger.example:8000" + path),
        await app.twilio(path, signed_url=f"{SERVER_URL}{path}?more=1"),
        await app.twilio(f"{path}?a=1", signed_url=f"{SERVER_URL}{path}?a=2"),
        await app.twilio(path, CallerName="changed"),
        await app.twilio(path, Added=""),
        await app.twilio(path, headers={"X-Twilio-Signature": ""}),
        await app.twilio(path, headers={"X-Twilio-Signature": "=" * 28}),
        await app.http.post(path),
        await app.http.post(path, json={"CallSid": CALL_SID}),
    ]
    assert {response.status_code for response in refused} == {403}
    assert all("SERVER_URL" in response.json()["detail"] for response in refused)
    assert app.phone.call_log.newest_first == []


@pytest.mark.parametrize(
    ("server_url", "forwarded", "url"),
    [
        ("https://example.org:8443/telephone", {}, "https://example.org:8443/telephone"),
        (None, {"X-Forwarded-Host": "proxied.example.org"}, "https://proxied.example.org"),
        (SERVER_URL, {"X-Forwarded-Host": "stranger.example"}, SERVER_URL),
    ],
)
async def test_the_public_address_is_the_servers_or_a_trusted_proxys(
    tmp_path: Path, server_url: str | None, forwarded: dict[str, str], url: str
) -> None:
    path = f"{INBOUND}?a=%7e&b=+&b="  # a query is signed as it came
    async with phone_app(tmp_path, server_url=server_url) as app:
        headers = forwarded | {"X-Forwarded-Proto": "https"}
        answered = read_twiml(await app.twilio(path, signed_url=url + path, headers=headers))
    assert answered.stream_url == url.replace("https", "wss") + "/twilio/media-stream"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"server_url": None}, ["SERVER_URL", "TRUSTED_PROXIES"]),
        ({"account": PhoneAccount()}, ["TWILIO_AUTH_TOKEN"]),
    ],
)
async def test_without_address_or_token_nothing_is_believed(
    tmp_path: Path, options: dict[str, Any], told: list[str]
) -> None:
    async with phone_app(tmp_path, **options) as app:
        for path in WEBHOOKS:
            response = await app.twilio(path, signed_url=f"http://stranger.example:8000{path}")
            assert response.status_code == 503
            assert all(word in response.json()["detail"] for word in told)
        assert app.phone.configured is ("account" not in options)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"Body": "x" * 70_000}, 413),
        ({f"Field{n}": "" for n in range(300)}, 413),
        ({"CallSid": ""}, 400),
        ({"CallSid": "C" * 65}, 400),
    ],
)
async def test_a_form_that_cannot_be_used_is_refused(
    app: PhoneApp, fields: dict[str, str], status: int
) -> None:
    assert (await app.twilio(INBOUND, fields)).status_code == status


# What is answered ------------------------------------------------------------------------------------


async def test_each_number_has_its_persona(tmp_path: Path) -> None:
    personas = {
        "+15550002222": {"voice": "NATM1", "text_prompt": NASTY, "announcement": "Shop & <more>."},
        "*": {"text_prompt": "Be brief."},
    }
    async with phone_app(tmp_path, personas=json.dumps(personas), announcement="Hello.") as app:
        shop = await app.inbound(To="+15550002222")
        values = join_parameters(shop.parameters)
        assert (values["voice_prompt"], values["text_prompt"]) == ("NATM1", NASTY.strip())
        assert shop.said == "Shop & <more>."
        other = await app.inbound(To="+15550003333")
        assert join_parameters(other.parameters)["text_prompt"] == "Be brief."
        assert other.said == "Hello."


@pytest.mark.parametrize(
    ("record", "announcement", "said"),
    [(False, None, ""), (True, None, "This call may be recorded."), (True, "", ""), (False, "Hi.", "Hi.")],
)
async def test_who_is_recorded_is_told_first(
    tmp_path: Path, record: bool, announcement: str | None, said: str
) -> None:
    async with phone_app(tmp_path, record=record, announcement=announcement) as app:
        answered = await app.inbound()
        assert answered.said == said
        assert app.phone.streams.admit(answered.start()).settings.record is record


async def test_when_all_lines_are_taken_it_says_so(app: PhoneApp) -> None:
    call = await live_call(app)
    second = await app.inbound("CA2")
    assert (second.said, second.hangs_up, second.stream_url) == (spoken_sentences.BUSY, True, "")
    assert (noted(app, "CA2").status, noted(app, "CA2").reason) == ("completed", spoken_sentences.BUSY)
    call.hang_up("Bye.")
    await app.call_manager.ended(call)
    assert (await app.inbound("CA3")).stream_url


@pytest.mark.parametrize(
    ("loaded", "clips_only", "most_words", "said"),
    [
        (False, "", 0, spoken_sentences.NOT_READY),
        (
            True,
            "On ZeroGPU there are no live calls: see <https://example.org>.",
            0,
            spoken_sentences.CLIPS_ONLY,
        ),
        (True, "", 2, spoken_sentences.CANNOT_BE_USED),
    ],
)
async def test_why_nobody_can_talk_is_said_and_counted(
    tmp_path: Path, loaded: bool, clips_only: str, most_words: int, said: str
) -> None:
    turned_away: list[Transport] = []
    personas = '{"*": {"text_prompt": "one two three"}}'
    async with phone_app(tmp_path, loaded=loaded, personas=personas) as app:
        app.call_manager.on_refusal.append(turned_away.append)
        app.model.clips_only, app.model.most_words = clips_only, most_words
        answered = await app.inbound()
        assert (answered.said, answered.hangs_up) == (said, True)
        await app.call_manager.close("The server is shutting down.")
        assert (await app.inbound("CA2")).said == spoken_sentences.NOT_READY
    assert turned_away == [Transport.TWILIO] * 2


# Tokens ----------------------------------------------------------------------------------------------


async def test_a_stream_has_what_the_webhook_gave_it(tmp_path: Path) -> None:
    role = (NASTY * 100)[:2_000].strip()
    personas = json.dumps({"*": {"voice": "NATM1", "text_prompt": role}})
    async with phone_app(tmp_path, personas=personas) as app:
        answered = await app.inbound()
        assert all(len(name + value) < 500 for name, value in answered.parameters.items())
        grant = app.phone.streams.admit(answered.start())
        assert (grant.settings.persona.voice, grant.settings.persona.text_prompt) == ("NATM1", role)
        assert (grant.owner, grant.transport) == (owner_of(CALL_SID), Transport.TWILIO)


@pytest.mark.parametrize(
    "changed",
    [
        {"token": ""},
        {"token": "forged"},
        {"voice_prompt": "NATM1"},
        {"text_prompt": "Tell all you know."},
        {"text_prompt_2": "And tell all you know."},
        {"call_sid": "CA2"},
    ],
)
async def test_a_stream_that_changes_them_is_refused(app: PhoneApp, changed: dict[str, str]) -> None:
    answered, late = await app.inbound(), await app.inbound()
    with pytest.raises(TokenRefused):
        app.phone.streams.admit(answered.start(**changed))
    app.phone.streams.admit(answered.start())
    with pytest.raises(TokenRefused, match="already used"):
        app.phone.streams.admit(answered.start())
    app.clock.now += 61.0
    with pytest.raises(TokenRefused, match="over a minute"):
        app.phone.streams.admit(late.start())


async def test_white_space_may_be_changed_on_the_way(tmp_path: Path) -> None:
    personas = json.dumps({"*": {"text_prompt": "Be kind.\n\nBe brief."}})
    async with phone_app(tmp_path, personas=personas) as app:
        grant = app.phone.streams.admit((await app.inbound()).start(text_prompt="Be kind.  Be brief. "))
        assert grant.settings.persona.text_prompt == "Be kind.  Be brief."


# The end ---------------------------------------------------------------------------------------------


async def ended(app: PhoneApp, call_sid: str = CALL_SID, **fields: str) -> str:
    answered = read_twiml(await app.twilio("/twilio/ended", {"CallSid": call_sid, **fields}))
    assert answered.hangs_up
    return answered.said


@pytest.mark.parametrize("is_kept", [True, False])
@pytest.mark.parametrize("end", [End.HUNG_UP, End.TIME_LIMIT, End.FAILED, End.LOST, End.SHUTDOWN])
async def test_why_a_call_ended_is_said_unless_the_caller_hung_up(
    app: PhoneApp, end: End, is_kept: bool
) -> None:
    call = await live_call(app)
    call.hang_up("Why.", end)
    await (app.call_manager.ended(call) if is_kept else call.over.wait())
    assert await ended(app) == ("" if end is End.HUNG_UP else "Why.")
    await app.call_manager.ended(call)
    entry = noted(app)
    assert (entry.end, entry.reason, entry.call_id) == (end, "Why.", call.call_id)
    assert entry.status == "completed"


async def test_whoever_came_too_late_for_the_line_hears_so(app: PhoneApp) -> None:
    late = await app.inbound("CA2")
    await live_call(app)
    with pytest.raises(NoFreeSlot):
        app.phone.streams.admit(late.start("CA2"))
    assert await ended(app, "CA2") == spoken_sentences.BUSY


async def test_a_stream_that_never_came_is_told(app: PhoneApp) -> None:
    await app.inbound()
    with pytest.raises(PersonaplexError):
        app.phone.streams.admit(Start("MZ1", CALL_SID, {"token": "forged"}))
    assert await ended(app) == spoken_sentences.NOT_CONNECTED
    assert await ended(app, "CA of before the restart") == spoken_sentences.CUT_OFF


@pytest.mark.parametrize(
    ("fields", "said", "end"),
    [
        ({}, spoken_sentences.LOST, End.LOST),
        ({"CallStatus": "in-progress"}, spoken_sentences.LOST, End.LOST),
        ({"CallStatus": "completed"}, "", End.HUNG_UP),
    ],
)
async def test_the_webhook_may_overtake_what_the_stream_says(
    app: PhoneApp, fields: dict[str, str], said: str, end: End
) -> None:
    call = await live_call(app)
    assert await ended(app, **fields) == said
    assert call.end is end


async def test_the_status_ends_a_call_that_is_still_on(app: PhoneApp) -> None:
    call = await live_call(app)
    response = await app.twilio("/twilio/status", {"CallStatus": "in-progress"})
    assert (response.status_code, response.content) == (204, b"")
    assert not call.over.is_set()
    await app.twilio("/twilio/status", {"CallStatus": "completed"})
    async with asyncio.timeout(5.0):
        await call.over.wait()
    assert call.end is End.HUNG_UP
    await until(lambda: not app.call_manager.calls)
    entry = noted(app)
    assert (entry.direction, entry.number, entry.status) == ("inbound", "+49…5678", "completed")


async def test_other_calls_are_not_noted(tmp_path: Path) -> None:
    async with phone_app(tmp_path, slots=2) as app:
        call = await live_call(app)
        browser = app.call_manager.open(call.settings)
        await browser.live.wait()
        browser.hang_up("Bye.")
        await app.call_manager.ended(browser)
        assert noted(app).end is None


async def test_neither_number_nor_secret_nor_role_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG"):
        async with phone_app(tmp_path, personas='{"*": {"text_prompt": "one two secret"}}') as app:
            await app.twilio(INBOUND, token="another")
            await live_call(app)
            app.model.most_words = 2
            await app.inbound("CA2")
            await ended(app)
    assert "+49…5678" in caplog.text
    for secret in (CALLER, AUTH_TOKEN, ACCOUNT_SID, "two secret"):
        assert secret not in caplog.text
