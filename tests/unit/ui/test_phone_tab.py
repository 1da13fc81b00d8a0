"""The phone tab through Gradio's queue: who may call and get a number, and what is seen of it."""

import asyncio
import functools
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, cast

import gradio as gr
import pytest

from personaplex_ui.app import services
from personaplex_ui.channels.fastrtc_phone.number import NumberState
from personaplex_ui.channels.fastrtc_phone.service import FastRtcService
from personaplex_ui.channels.twilio.client import TwilioClient
from personaplex_ui.errors import InvalidInput
from personaplex_ui.ui.phone_callbacks import check_key
from tests.support.answering_machine import AnsweringMachine, answering_machine
from tests.support.page_session import LIBRARIES_WARN, OpenApp, PageSession, open_app
from tests.support.password import HEADERS, PASSWORD
from tests.support.running import until
from tests.support.telephone_rig import ForwardingTunnel, plain_client, ring
from tests.support.twilio_rest import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    PHONE_NUMBER,
    TwilioRest,
    client_of,
    twilio_rest,
)

pytestmark = LIBRARIES_WARN

KEY = "a key of the owner's, long enough"
TO = "+15551234567"
TWILIO = {
    "ENGINE": "echo",
    "API_KEY": KEY,
    "SERVER_URL": "https://talk.example.org",
    "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
    "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
    "TWILIO_PHONE_NUMBER": PHONE_NUMBER,
    "OUTBOUND_DAILY_LIMIT": "2",
}
LENT = {"phone": "+1 (555) 010-0042", "code": 7421, "time_remaining": 1205.5, "reset_date": "2026-12-01"}
FAR_AWAY = {"x-forwarded-for": "203.0.113.9"}


@pytest.fixture
def rest(monkeypatch: pytest.MonkeyPatch) -> Iterator[TwilioRest]:
    with twilio_rest() as rest, client_of(rest) as client:
        monkeypatch.setattr(services, "TwilioClient", functools.partial(TwilioClient, client=client))
        yield rest


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[AnsweringMachine]:
    with answering_machine() as service:
        service.answers = {"/register": (200, LENT), "/unregister": (200, {})}
        lender = functools.partial(FastRtcService, urls=(service.url,), make_client=plain_client)
        monkeypatch.setattr(services, "FastRtcService", lender)
        monkeypatch.setattr(services, "gradio_tunnel", ForwardingTunnel().open)
        yield service


async def ready(app: OpenApp) -> PageSession:
    await app.loaded()
    return PageSession(app)


async def dial(page: PageSession, key: str = KEY, number: str = TO) -> list[Any]:
    """The views of a call that ends at once: the last one."""
    return await page.trigger("call", key, number, "NATF2", "You are kind.")


@pytest.fixture
async def page(tmp_path: Path, rest: TwilioRest) -> AsyncIterator[PageSession]:
    async with open_app(tmp_path, **TWILIO) as app:
        yield await ready(app)


async def test_a_call_is_made_with_the_key_followed_and_counted(tmp_path: Path, rest: TwilioRest) -> None:
    async with open_app(tmp_path, **TWILIO) as app:
        page = await ready(app)
        phone = app.services.phone

        async def busy() -> None:
            await until(lambda: bool(phone.call_log.newest_first))
            call_sid = phone.call_log.newest_first[0].call_sid
            phone.endings.note_status(call_sid, "busy", "outbound-api", PHONE_NUMBER, TO)

        (_, html, left), _ = await asyncio.gather(dial(page), busy())
        assert rest.calls[0]["To"] == TO
        assert rest.calls[0]["Url"].startswith("https://talk.example.org/twilio/outbound/answered?key=")
    assert "Busy" in html
    assert TO not in html
    assert "1 more call can" in left


@pytest.mark.parametrize(
    ("key", "number", "sentence"),
    [
        ("", TO, "not the API_KEY"),
        ("a wrong one", TO, "not the API_KEY"),
        (KEY, "12", "number"),
        (KEY, "+1900555123456", "number"),
    ],
)
async def test_what_cannot_be_called_is_refused_in_words(
    page: PageSession, rest: TwilioRest, key: str, number: str, sentence: str
) -> None:
    _, html, _ = await dial(page, key, number)
    assert sentence in html
    assert rest.calls == []


async def test_twilios_refusal_is_a_sentence_without_the_number(page: PageSession, rest: TwilioRest) -> None:
    rest.refuse = (400, 21608)
    _, html, left = await dial(page)
    assert "trial account" in html
    assert TO not in html
    assert AUTH_TOKEN not in html
    assert "2 more calls" in left


async def test_too_many_wrong_keys_are_not_looked_at_any_more(tmp_path: Path, rest: TwilioRest) -> None:
    async with open_app(tmp_path, **TWILIO, TRUSTED_PROXIES="127.0.0.1") as app:
        app.http.headers.update(FAR_AWAY)
        page = await ready(app)
        for _ in range(10):
            await dial(page, "a wrong one")
        _, html, _ = await dial(page)
    assert "Too many wrong" in html
    assert rest.calls == []


async def test_without_a_key_no_call_is_made_by_anyone(tmp_path: Path, rest: TwilioRest) -> None:
    async with open_app(tmp_path, **{**TWILIO, "API_KEY": ""}) as app:
        _, html, _ = await dial(await ready(app))
    assert "set API_KEY" in html
    assert rest.calls == []


async def test_the_steps_are_shown_where_there_is_no_account(tmp_path: Path) -> None:
    variables = {"ENGINE": "echo", "SERVER_URL": "https://talk.example.org", "APP_PASSWORD": PASSWORD}
    async with open_app(tmp_path, **variables) as app:
        app.http.headers.update(HEADERS)
        await app.become_operator()
        (html,) = await (await ready(app)).trigger("show_setup")
        names = {function.name for function in app.functions.values()}
    assert html.count("<li>") == 3
    assert "https://talk.example.org/twilio/inbound" in html
    assert not names & {"call", "get"}


async def test_a_number_is_lent_shown_and_given_back(tmp_path: Path, service: AnsweringMachine) -> None:
    async with open_app(tmp_path, ENGINE="echo", HF_TOKEN="hf_somebody") as app:
        page = await ready(app)
        await app.become_operator()
        html, _ = await page.trigger("get", "")
        assert "+1 (555) 010-0042" in html
        assert "7421" in html
        assert re.search(r"20:0[0-5] until 2026-12-01", html)
        html, _ = await page.trigger("give_back", "")
        assert "7421" not in html
        assert service.paths() == ["/register", "/unregister"]


async def test_only_the_owner_gets_a_number(tmp_path: Path, service: AnsweringMachine) -> None:
    variables = {"ENGINE": "echo", "HF_TOKEN": "hf_somebody"}
    async with open_app(tmp_path, **variables) as app:
        _, html = await (await ready(app)).trigger("get", "")
        assert "personaplex-ui serve --phone" in html
        _, html = await PageSession(app).trigger("give_back", "")
        assert "personaplex-ui serve --phone" in html
    async with open_app(tmp_path, **variables, API_KEY=KEY) as app:
        _, html = await (await ready(app)).trigger("get", "a wrong one")
        assert "not the API_KEY" in html
    assert service.paths() == []


async def test_a_spent_quota_is_a_sentence_on_the_page(tmp_path: Path, service: AnsweringMachine) -> None:
    service.answers["/register"] = (202, {})
    async with open_app(tmp_path, ENGINE="echo", HF_TOKEN="hf_somebody") as app:
        page = await ready(app)
        await app.become_operator()
        html, _ = await page.trigger("get", "")
        assert "used up" in html
        assert await page.trigger("refresh") == [html]


async def test_with_the_flag_the_number_is_there_from_the_start_and_goes_back_at_the_end(
    tmp_path: Path, service: AnsweringMachine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with open_app(tmp_path, ENGINE="echo", HF_TOKEN="hf_somebody", FASTRTC_PHONE="1") as app:
        page = await ready(app)
        number = app.services.number
        assert number is not None
        await until(lambda: number.state is NumberState.READY)
        await app.become_operator()
        (html,) = await page.trigger("refresh")
        assert "7421" in html
        host = str(cast(dict[str, object], service.asked[0].body)["url"])
        assert (await ring(host)).parameters["token"]
    assert service.paths() == ["/register", "/unregister"]
    assert "7421" in caplog.text
    assert "hf_somebody" not in caplog.text


async def test_without_a_token_the_flag_says_what_is_missing(
    tmp_path: Path, service: AnsweringMachine
) -> None:
    async with open_app(tmp_path, ENGINE="echo", FASTRTC_PHONE="1") as app:
        page = await ready(app)
        number = app.services.number
        assert number is not None
        await until(lambda: number.state is NumberState.FAILED)
        await app.become_operator()
        (html,) = await page.trigger("refresh")
    assert "HF_TOKEN" in html
    assert service.paths() == []


async def test_a_key_that_is_no_text_is_just_a_wrong_one(tmp_path: Path, rest: TwilioRest) -> None:
    async with open_app(tmp_path, **TWILIO) as app:
        with pytest.raises(InvalidInput, match="not the API_KEY"):
            check_key(app.services.credentials, "\ud800", gr.Request())
    assert rest.calls == []
