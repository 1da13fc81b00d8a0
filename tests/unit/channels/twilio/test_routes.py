"""Twilio's webhooks: who is believed, what is answered, who may come in by the stream."""

import asyncio
import json
from pathlib import Path

import pytest

from personaplex_ui.calls.live_call import LiveCall
from personaplex_ui.calls.snapshot import End, Transport
from personaplex_ui.channels.twilio.account import PhoneAccount
from personaplex_ui.channels.twilio.call_tokens import TokenRefused
from personaplex_ui.channels.twilio.protocol import Start
from personaplex_ui.channels.twilio.service import owner_of
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


def begin_call(app: PhoneApp, start: Start) -> LiveCall:
    """What the stream does once it is admitted."""
    grant = app.phone.admit(start)
    call = app.call_manager.open(grant.settings, grant.owner, transport=grant.transport)
    grant.on_call(call)
    return call


async def live_call(app: PhoneApp, call_sid: str = CALL_SID) -> LiveCall:
    call = begin_call(app, (await app.inbound(call_sid)).start(call_sid))
    await call.live.wait()
    return call


# Signatures ------------------------------------------------------------------------------------------


async def test_a_signed_call_is_connected(tmp_path: Path) -> None:
    async with phone_app(tmp_path) as app:
        answered = await app.inbound()
        assert answered.said == ""
        assert answered.stream_url == "wss://phone.example.org/twilio/media-stream"
        assert answered.action == "https://phone.example.org/twilio/ended"
        values = join_parameters(answered.parameters)
        assert values.keys() == {"voice_prompt", "text_prompt", "token"}
        assert (values["voice_prompt"], values["text_prompt"]) == ("NATF2", DEFAULT_ROLE)


@pytest.mark.parametrize("path", WEBHOOKS)
async def test_what_twilio_did_not_sign_is_refused(tmp_path: Path, path: str) -> None:
    async with phone_app(tmp_path) as app:
        refused = [
            await app.twilio(path, token="another account's"),
            await app.twilio(path, signed_url="https://other.example.org" + path),
            await app.twilio(path, signed_url="http://stranger.example:8000" + path),
            await app.twilio(path, signed_url=f"{SERVER_URL}{path}?more=1"),
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


async def test_the_query_is_signed_as_it_came(tmp_path: Path) -> None:
    async with phone_app(tmp_path) as app:
        assert (await app.twilio(f"{INBOUND}?a=%7e&b=+&b=")).status_code == 200
        response = await app.twilio(f"{INBOUND}?a=1", signed_url=f"{SERVER_URL}{INBOUND}?a=2")
        assert response.status_code == 403


async def test_the_address_may_have_a_path_and_a_port(tmp_path: Path) -> None:
    url = "https://example.org:8443/telephone"
    async with phone_app(tmp_path, server_url=url) as app:
        answered = read_twiml(await app.twilio(INBOUND, signed_url=url + INBOUND))
        assert answered.stream_url == "wss://example.org:8443/telephone/twilio/media-stream"
        assert app.phone.webhook_url(url) == url + INBOUND


async def test_without_server_url_a_trusted_proxy_tells_the_address(tmp_path: Path) -> None:
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "proxied.example.org"}
    url = f"https://proxied.example.org{INBOUND}"
    async with phone_app(tmp_path, server_url=None) as app:
        answered = read_twiml(await app.twilio(INBOUND, signed_url=url, headers=forwarded))
        assert answered.stream_url == "wss://proxied.example.org/twilio/media-stream"
        response = await app.twilio(INBOUND, signed_url=f"http://stranger.example:8000{INBOUND}")
        assert response.status_code == 503
        assert "SERVER_URL" in response.text
        assert "TRUSTED_PROXIES" in response.text


async def test_server_url_wins_over_what_a_proxy_tells(tmp_path: Path) -> None:
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "stranger.example"}
    async with phone_app(tmp_path) as app:
        answered = read_twiml(await app.twilio(INBOUND, headers=forwarded))
        assert answered.stream_url.startswith("wss://phone.example.org/")


@pytest.mark.parametrize("path", WEBHOOKS)
async def test_without_a_token_nothing_is_believed(tmp_path: Path, path: str) -> None:
    async with phone_app(tmp_path, account=PhoneAccount()) as app:
        response = await app.twilio(path)
        assert response.status_code == 503
        assert "TWILIO_AUTH_TOKEN" in response.json()["detail"]
        assert not app.phone.configured


async def test_a_body_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    async with phone_app(tmp_path) as app:
        assert (await app.twilio(INBOUND, {"Body": "x" * 70_000})).status_code == 413
        assert (await app.twilio(INBOUND, {f"Field{n}": "" for n in range(300)})).status_code == 413
        assert (await app.twilio(INBOUND, {"CallSid": ""})).status_code == 400
        assert (await app.twilio(INBOUND, {"CallSid": "C" * 65})).status_code == 400


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
        assert app.phone.admit(answered.start()).settings.record is record


async def test_when_all_lines_are_taken_it_says_so(tmp_path: Path) -> None:
    async with phone_app(tmp_path) as app:
        call = await live_call(app)
        second = await app.inbound("CA2")
        refused = app.phone.call_log.get("CA2")
        assert refused is not None
        assert (refused.status, refused.reason) == ("completed", second.said)
        assert second.said == "All lines are busy. Please call again in a few minutes."
        assert second.hangs_up
        assert not second.stream_url
        call.hang_up("Bye.")
        await app.call_manager.ended(call)
        assert (await app.inbound("CA3")).stream_url


async def test_before_the_model_is_there_it_says_so(tmp_path: Path) -> None:
    async with phone_app(tmp_path, loaded=False) as app:
        answered = await app.inbound()
        assert "not ready yet" in answered.said
        assert answered.hangs_up


async def test_a_model_for_clips_says_so(tmp_path: Path) -> None:
    async with phone_app(tmp_path) as app:
        app.model.clips_only = "On ZeroGPU there are no live calls: see <https://example.org>."
        answered = await app.inbound()
        assert "answers recordings only" in answered.said
        assert answered.hangs_up


async def test_a_persona_that_does_not_fit_the_model_says_so(tmp_path: Path) -> None:
    async with phone_app(tmp_path, personas='{"*": {"text_prompt": "one two three"}}') as app:
        app.model.most_words = 2
        answered = await app.inbound()
        assert "cannot be used" in answered.said
        assert answered.hangs_up


# Tokens ----------------------------------------------------------------------------------------------


async def test_a_stream_has_what_the_webhook_gave_it(tmp_path: Path) -> None:
    role = (NASTY * 100)[:2_000].strip()
    personas = json.dumps({"*": {"voice": "NATM1", "text_prompt": role}})
    async with phone_app(tmp_path, personas=personas) as app:
        answered = await app.inbound()
        assert all(len(name + value) < 500 for name, value in answered.parameters.items())
        grant = app.phone.admit(answered.start())
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
    ],
)
async def test_a_stream_that_changes_them_is_refused(tmp_path: Path, changed: dict[str, str]) -> None:
    async with phone_app(tmp_path) as app:
        answered = await app.inbound()
        with pytest.raises(TokenRefused):
            app.phone.admit(answered.start(**changed))
        app.phone.admit(answered.start())


async def test_a_token_is_for_one_call_once_and_for_a_minute(tmp_path: Path) -> None:
    async with phone_app(tmp_path) as app:
        answered, late = await app.inbound(), await app.inbound()
        with pytest.raises(TokenRefused, match="does not fit"):
            app.phone.admit(answered.start("CA2"))
        app.phone.admit(answered.start())
        with pytest.raises(TokenRefused, match="used before"):
            app.phone.admit(answered.start())
        app.clock.now += 61.0
        with pytest.raises(TokenRefused, match="over a minute"):
            app.phone.admit(late.start())
        with pytest.raises(TokenRefused, match="no valid token"):
            app.phone.admit(Start("MZ1", CALL_SID))


async def test_white_space_may_be_changed_on_the_way(tmp_path: Path) -> None:
    async with phone_app(
        tmp_path, personas=json.dumps({"*": {"text_prompt": "Be kind.\n\nBe brief."}})
    ) as app:
        answered = await app.inbound()
        grant = app.phone.admit(answered.start(text_prompt="Be kind.  Be brief. "))
        assert grant.settings.persona.text_prompt == "Be kind.  Be brief."


# The end ---------------------------------------------------------------------------------------------


async def ended(app: PhoneApp, call_sid: str = CALL_SID) -> tuple[str, bool]:
    answered = read_twiml(await app.twilio("/twilio/ended", {"CallSid": call_sid}))
    return answered.said, answered.hangs_up


@pytest.mark.parametrize("is_archived", [True, False])
@pytest.mark.parametrize(
    ("end", "said"),
    [
        (End.HUNG_UP, ""),
        (End.TIME_LIMIT, "Why."),
        (End.FAILED, "Why."),
        (End.LOST, "Why."),
        (End.SHUTDOWN, "Why."),
    ],
)
async def test_why_a_call_ended_is_said_unless_the_caller_hung_up(
    tmp_path: Path, end: End, said: str, is_archived: bool
) -> None:
    async with phone_app(tmp_path) as app:
        call = await live_call(app)
        call.hang_up("Why.", end)
        await (app.call_manager.ended(call) if is_archived else call.over.wait())
        assert await ended(app) == (said, True)
        await app.call_manager.ended(call)
        entry = app.phone.call_log.get(CALL_SID)
        assert entry is not None
        assert (entry.end, entry.reason, entry.call_id) == (end, "Why.", call.call_id)
        assert entry.status == "completed"


async def test_a_stream_that_breaks_ends_the_call_with_a_sentence(tmp_path: Path) -> None:
    async with phone_app(tmp_path) as app:
        call = await live_call(app)
        assert await ended(app) == ("The connection was lost. Please call again.", True)
        assert call.end is End.LOST


async def test_whoever_came_too_late_for_the_line_hears_so(tmp_path: Path) -> None:
    async with phone_app(tmp_path) as app:
        late = await app.inbound("CA2")
        await live_call(app)
        with pytest.raises(NoFreeSlot):
            app.phone.admit(late.start("CA2"))
        assert await ended(app, "CA2") == ("All lines are busy. Please call again in a few minutes.", True)


async def test_a_stream_that_never_came_is_told(tmp_path: Path) -> None:
    async with phone_app(tmp_path) as app:
        await app.inbound()
        with pytest.raises(PersonaplexError):
            app.phone.admit(Start("MZ1", CALL_SID, {"token": "forged"}))
        assert await ended(app) == ("The call could not be connected. Please call again.", True)


async def test_a_call_of_before_the_restart_is_told(tmp_path: Path) -> None:
    async with phone_app(tmp_path) as app:
        assert await ended(app) == ("The call was cut off. Please call again in a minute.", True)


async def test_the_status_ends_a_call_that_is_still_on(tmp_path: Path) -> None:
    async with phone_app(tmp_path) as app:
        call = await live_call(app)
        response = await app.twilio("/twilio/status", {"CallStatus": "in-progress"})
        assert (response.status_code, response.content) == (204, b"")
        assert not call.over.is_set()
        await app.twilio("/twilio/status", {"CallStatus": "completed"})
        async with asyncio.timeout(5.0):
            await call.over.wait()
        assert call.end is End.HUNG_UP
        await until(lambda: not app.call_manager.calls)
        entry = app.phone.call_log.get(CALL_SID)
        assert entry is not None
        assert (entry.direction, entry.number, entry.status) == ("inbound", "+49…5678", "completed")


async def test_other_calls_are_not_noted(tmp_path: Path) -> None:
    async with phone_app(tmp_path, lines=2) as app:
        await live_call(app)
        grant = app.phone.admit((await app.inbound("CA2")).start("CA2"))
        browser = app.call_manager.open(grant.settings)
        await browser.live.wait()
        browser.hang_up("Bye.")
        await app.call_manager.ended(browser)
        entry = app.phone.call_log.get(CALL_SID)
        assert entry is not None
        assert entry.end is None


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


@pytest.mark.parametrize(
    ("status", "said", "end"),
    [
        ("completed", "", End.HUNG_UP),
        ("in-progress", "The connection was lost. Please call again.", End.LOST),
    ],
)
async def test_the_webhook_may_overtake_what_the_stream_says(
    tmp_path: Path, status: str, said: str, end: End
) -> None:
    async with phone_app(tmp_path) as app:
        call = await live_call(app)
        answer = read_twiml(await app.twilio("/twilio/ended", {"CallStatus": status}))
        assert (answer.said, call.end) == (said, end)


async def test_those_who_are_turned_away_are_counted(tmp_path: Path) -> None:
    turned_away: list[Transport] = []
    async with phone_app(tmp_path) as app:
        app.call_manager.on_refusal.append(turned_away.append)
        app.model.clips_only = "Clips only."
        assert (await app.inbound()).hangs_up
        await app.call_manager.close("The server is shutting down.")
        app.model.clips_only = ""
        assert "not ready" in (await app.inbound("CA2")).said
    assert turned_away == [Transport.TWILIO] * 2
