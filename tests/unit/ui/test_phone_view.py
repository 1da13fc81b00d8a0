"""The phone tab's HTML: the steps, what is set up, a call in words, FastRTC's number."""

import pytest

from personaplex_ui.channels.fastrtc_phone.number import NumberState, NumberView
from personaplex_ui.channels.twilio.call_log import OVER, STATUSES, PhoneCall
from personaplex_ui.ui import phone_view
from tests.unit.ui.test_html import Page

MISSING = ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_PHONE_NUMBER")
WEBHOOK = "https://talk.example.org/twilio/inbound"


def call(status: str, reason: str = "") -> PhoneCall:
    return PhoneCall("CA1", "outbound", "…234", status, 0.0, reason=reason)


def test_without_an_account_there_are_three_steps_and_the_address_to_paste() -> None:
    html = phone_view.setup_html(False, WEBHOOK, "", False, MISSING)
    assert html.count("<li>") == 3
    assert all(name in html for name in MISSING)
    assert WEBHOOK in html
    assert "SERVER_URL" not in html


def test_where_the_public_address_is_not_known_it_says_how_to_tell_it() -> None:
    html = phone_view.setup_html(False, None, "", False, MISSING)
    assert "SERVER_URL" in html
    assert "None" not in html


@pytest.mark.parametrize(("recorded", "words"), [(True, "are recorded"), (False, "are not recorded")])
def test_with_an_account_it_shows_number_webhook_and_whether_it_records(recorded: bool, words: str) -> None:
    text = Page(phone_view.setup_html(True, WEBHOOK, "+15550001111", recorded, ())).text
    assert "+15550001111" in text
    assert WEBHOOK in text
    assert words in text


@pytest.mark.parametrize("status", [*STATUSES, *OVER, "unknown"])
def test_each_status_of_a_call_is_in_words_and_announced(status: str) -> None:
    html = phone_view.call_html(call(status))
    assert "data-announce" in html
    assert "…234" in html
    assert f">{status}<" not in html


def test_why_a_call_ended_is_told() -> None:
    assert "The number was busy." in Page(phone_view.call_html(call("busy", "The number was busy."))).text


def test_a_refusal_is_an_alert() -> None:
    html = phone_view.call_html(None, "This is not the API_KEY of this server.")
    assert 'role="alert"' in html
    assert 'role="alert"' not in phone_view.call_html(None)


@pytest.mark.parametrize(("left", "words"), [(20, "20 more calls"), (1, "1 more call may"), (0, "0 more")])
def test_how_many_calls_are_left(left: int, words: str) -> None:
    assert words in phone_view.left_today_html(left)


def test_a_lent_number_with_its_code_and_minutes() -> None:
    view = NumberView(NumberState.READY, "Call it.", "+1 555 010", "7421", "19:05", "2026-12-01")
    text = Page(phone_view.number_html(view)).text
    for shown in ("+1 555 010", "7421", "19:05 until 2026-12-01"):
        assert shown in text
    bare = Page(phone_view.number_html(NumberView(NumberState.READY, "Call it.", "+1 555 010", "7421"))).text
    assert "Minutes" not in bare


@pytest.mark.parametrize("state", [state for state in NumberState if state is not NumberState.READY])
def test_without_a_number_it_says_what_goes_on(state: NumberState) -> None:
    assert "Opening it." in Page(phone_view.number_html(NumberView(state, "Opening it."))).text


def test_everything_is_escaped() -> None:
    nasty = '<script>"&'
    for html in (
        phone_view.setup_html(True, nasty, nasty, False, ()),
        phone_view.setup_html(False, nasty, "", False, (nasty,)),
        phone_view.call_html(call("busy", nasty)),
        phone_view.call_html(None, nasty),
        phone_view.number_html(NumberView(NumberState.READY, nasty, nasty, nasty, nasty, nasty)),
        phone_view.number_html(NumberView(NumberState.FAILED, nasty)),
    ):
        assert "<script>" not in html
