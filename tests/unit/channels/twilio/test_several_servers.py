"""The telephone where several servers share one address: what belongs to a call comes back to its server, and
a call that one cannot take goes to another."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from twilio.rest import Client

from personaplex_ui.calls.capacity import capacity_now
from personaplex_ui.calls.snapshot import End, Transport
from personaplex_ui.channels.twilio import availability, spoken_sentences
from personaplex_ui.channels.twilio.call_tokens import VALID_SEC
from personaplex_ui.channels.twilio.stream_grants import EXPECTED_SEC, LETTERS_PER_SEC
from tests.support.phone_app import BEARER, SERVER_URL, PhoneApp, phone_app, read_twiml
from tests.support.running import until
from tests.support.twilio_rest import TwilioRest

OURS = "/gpu-1"
INBOUND = "/twilio/inbound"


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[PhoneApp]:
    async with phone_app(tmp_path, instance_path=OURS) as app:
        yield app


async def redirect_of(app: PhoneApp, path: str, call_sid: str = "CA2") -> tuple[str, str]:
    """Where a call is sent on to, and after how long."""
    root = ElementTree.fromstring((await app.twilio(path, {"CallSid": call_sid})).content)
    assert [verb.tag for verb in root] == ["Pause", "Redirect"]
    assert root[1].get("method") == "POST"
    return root[1].text or "", root[0].get("length", "")


@pytest.mark.parametrize("path", [INBOUND, f"{OURS}{INBOUND}", f"{INBOUND}?turn=1"])
async def test_the_stream_and_what_follows_come_to_the_same_server(app: PhoneApp, path: str) -> None:
    answered = read_twiml(await app.twilio(path))
    assert answered.stream_url == f"wss://phone.example.org{OURS}/twilio/media-stream"
    assert answered.action == f"{SERVER_URL}{OURS}/twilio/ended"
    async with app.stream(answered):
        pass
    ended = await app.twilio(f"{OURS}/twilio/ended", {"CallStatus": "completed"})
    assert read_twiml(ended).hangs_up


async def test_a_signature_is_of_the_address_that_was_called(app: PhoneApp) -> None:
    for path, signed in ((f"{OURS}{INBOUND}", INBOUND), (INBOUND, f"{OURS}{INBOUND}")):
        assert (await app.twilio(path, signed_url=SERVER_URL + signed)).status_code == 403


async def test_what_another_server_was_to_be_asked_is_answered_in_words(app: PhoneApp) -> None:
    """It has stopped; without an answer, the caller would hear "application error"."""
    ended = read_twiml(await app.twilio("/gpu-2/twilio/ended", {"CallSid": "CA9"}))
    assert (ended.said, ended.hangs_up) == (spoken_sentences.CUT_OFF, True)
    assert (await app.twilio("/gpu-2/twilio/status", {"CallStatus": "completed"})).status_code == 204
    assert (await app.twilio("/gpu-2/twilio/inbound")).status_code == 404


async def test_a_call_that_finds_no_line_is_sent_on_twice_and_then_told(app: PhoneApp) -> None:
    turned_away: list[Transport] = []
    app.call_manager.on_refusal.append(turned_away.append)
    async with app.stream(await app.inbound()):
        first, pause = await redirect_of(app, INBOUND)
        assert (first, pause) == (f"{SERVER_URL}{INBOUND}?turn=1", "1")
        second, _ = await redirect_of(app, first.removeprefix(SERVER_URL))
        assert second == f"{SERVER_URL}{INBOUND}?turn=2"
        assert app.phone.call_log.get("CA2") is None, "it is not ours"
        assert turned_away == []
        third = read_twiml(await app.twilio(second.removeprefix(SERVER_URL), {"CallSid": "CA2"}))
        assert (third.said, third.hangs_up) == (spoken_sentences.BUSY, True)
        assert turned_away == [Transport.TWILIO]
    assert (await app.twilio(f"{INBOUND}?turn=-1")).status_code == 200


async def test_a_line_is_taken_as_soon_as_the_call_is_answered(app: PhoneApp) -> None:
    def free() -> int:
        return capacity_now(app.call_manager).lines_free

    assert free() == 1
    answered = await app.inbound()
    assert free() == 0
    await redirect_of(app, INBOUND)
    async with app.stream(answered):
        assert free() == 0
    await app.twilio("/twilio/ended", {"CallStatus": "completed"})
    await until(lambda: free() == 1)
    await app.inbound("CA3")
    await app.twilio("/twilio/status", {"CallSid": "CA3", "CallStatus": "completed"})
    assert free() == 1, "the caller hung up while the announcement was said"
    await app.inbound("CA4")
    app.clock.now += EXPECTED_SEC + 1
    assert free() == 1


async def test_a_server_that_drains_sends_calls_on_or_says_so(app: PhoneApp, tmp_path: Path) -> None:
    answered = await app.inbound()
    app.call_manager.quiet_end.begin(60.0)
    assert (await redirect_of(app, INBOUND))[0] == f"{SERVER_URL}{INBOUND}?turn=1"
    app.call_manager.quiet_end.begin(0.0)
    with pytest.raises(Exception, match=spoken_sentences.RENEWED):
        app.phone.streams.admit(answered.start())
    ended = read_twiml(await app.twilio(f"{OURS}/twilio/ended"))
    assert ended.said == spoken_sentences.RENEWED
    async with phone_app(tmp_path / "alone") as alone:
        alone.call_manager.quiet_end.begin(60.0)
        assert (await alone.inbound()).said == spoken_sentences.RENEWED


async def test_who_was_answered_before_it_drains_is_waited_for_and_connected(app: PhoneApp) -> None:
    manager = app.call_manager
    assert manager.is_idle
    answered = await app.inbound()
    manager.quiet_end.begin(60.0)
    assert not manager.is_idle
    async with app.stream(answered):
        [call] = manager.calls.values()
    await until(lambda: manager.is_idle)
    assert call.end is not End.REFUSED


async def test_an_announcement_is_waited_for_and_a_caller_who_does_not_come_is_not(tmp_path: Path) -> None:
    said = "This call may be recorded, and here is what you should know of it. " * 4
    async with phone_app(tmp_path, personas=f'{{"*": {{"announcement": "{said}"}}}}') as app:
        await app.inbound()
        app.clock.now += EXPECTED_SEC + len(said) / (2 * LETTERS_PER_SEC)
        assert not app.call_manager.is_idle
        app.clock.now += VALID_SEC
        assert app.call_manager.is_idle


async def test_a_server_does_not_end_while_it_answers_the_telephone(
    app: PhoneApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def check_slowly(*_: object) -> None:
        asked.set()
        await go_on.wait()

    monkeypatch.setattr(availability, "check_persona_aside", check_slowly)
    answering = asyncio.create_task(app.inbound())
    await asked.wait()
    assert not app.call_manager.is_idle
    go_on.set()
    assert (await answering).stream_url


async def test_our_own_calls_come_back_to_us(tmp_path: Path, rest: TwilioRest, client: Client) -> None:
    async with phone_app(tmp_path, instance_path=OURS, client=client) as app:
        made = await app.http.post("/twilio/outbound", json={"to": "+15551234567"}, headers=BEARER)
        assert made.status_code == 200, made.text
        app.call_manager.quiet_end.begin(60.0)  # those that still ring are called off
        await until(lambda: rest.asked[-1].form.get("Status") in (["canceled"], ["completed"]))
    [call] = rest.calls
    assert call["Url"].startswith(f"{SERVER_URL}{OURS}/twilio/outbound/answered?key=")
    assert call["StatusCallback"] == f"{SERVER_URL}{OURS}/twilio/status"
