"""The HTML of the phone tab. That it escapes everything is tested in test_rendering.py."""

import pytest

from personaplex_ui.calls.snapshot import End
from personaplex_ui.channels.fastrtc_phone.number import NumberState, NumberView
from personaplex_ui.channels.twilio.call_log import OVER, STATUSES, PhoneCall
from personaplex_ui.channels.twilio.transfers.human import Human
from personaplex_ui.ui import phone_view
from tests.support.parsed_html import ParsedHtml

MISSING = ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_PHONE_NUMBER")
WEBHOOK = "https://talk.example.org/twilio/inbound"


def test_without_an_account_there_are_three_steps_and_the_address_to_paste() -> None:
    page = ParsedHtml(phone_view.setup_html(False, WEBHOOK, "", False, MISSING))
    assert len(page.attributes("li")) == 3
    assert ", ".join(MISSING) in page.text
    assert WEBHOOK in page.text
    assert "SERVER_URL" not in page.text


def test_where_the_public_address_is_not_known_it_says_how_to_tell_it() -> None:
    text = ParsedHtml(phone_view.setup_html(False, None, "", False, MISSING)).text
    assert "SERVER_URL" in text
    assert "None" not in text


@pytest.mark.parametrize(("recorded", "words"), [(True, "are recorded"), (False, "are not recorded")])
def test_with_an_account_it_shows_number_webhook_and_whether_it_records(recorded: bool, words: str) -> None:
    text = ParsedHtml(phone_view.setup_html(True, WEBHOOK, "+15550001111", recorded, ())).text
    assert all(shown in text for shown in ("+15550001111", WEBHOOK, words))


def test_it_shows_to_whom_callers_are_put_through_but_not_the_whole_number() -> None:
    human = Human.from_texts("+4930123456", "Mo-Fr 09:00-17:00", "Europe/Berlin", "")
    text = ParsedHtml(phone_view.setup_html(True, WEBHOOK, "", False, (), human, 1)).text
    assert "put through to +49…3456, Mo-Fr 09:00-17:00 (Europe/Berlin). 1 more caller can be today." in text
    assert "put through" not in phone_view.setup_html(True, WEBHOOK, "", False, ())


def test_a_caller_who_was_put_through_is_talking_until_twilio_says_that_it_is_over() -> None:
    call = PhoneCall("CA1", "outbound", "…234", "in-progress", 0.0, end=End.TRANSFERRED, reason="Why.")
    assert ParsedHtml(phone_view.call_html(call)).text == "Talking with a person …234"
    call.status = "completed"
    assert ParsedHtml(phone_view.call_html(call)).text == "Ended …234 Why."


@pytest.mark.parametrize("status", [*STATUSES, *OVER, "unknown"])
def test_each_status_of_a_call_is_in_words_and_announced_and_its_end_is_explained(status: str) -> None:
    call = PhoneCall("CA1", "outbound", "…234", status, 0.0, reason="The number was busy.")
    page = ParsedHtml(phone_view.call_html(call))
    words = phone_view.STATES[status]
    assert words != status
    assert page.values("data-announce") == [f"{words}."]
    assert page.text == f"{words} …234" + (" The number was busy." if call.over else "")


@pytest.mark.parametrize(
    ("sentence", "role"), [("This is not the API_KEY of this server.", ["alert"]), ("", [])]
)
def test_a_refusal_is_an_alert(sentence: str, role: list[str]) -> None:
    page = ParsedHtml(phone_view.call_html(None, sentence))
    assert (page.text, page.values("role")) == (sentence, role)


@pytest.mark.parametrize(("left", "words"), [(20, "20 more calls"), (1, "1 more call"), (0, "0 more calls")])
def test_how_many_calls_are_left(left: int, words: str) -> None:
    assert ParsedHtml(phone_view.left_today_html(left)).text == f"{words} can be made today."


def test_a_lent_number_with_its_code_and_minutes() -> None:
    number = NumberView(NumberState.READY, "Call it.", "+1 555 010", "7421", "19:05", "2026-12-01")
    text = ParsedHtml(phone_view.number_html(number)).text
    assert text == "Call+1 555 010 Code7421 Minutes left19:05 until 2026-12-01"
    bare = NumberView(NumberState.READY, "Call it.", "+1 555 010", "7421")
    assert "Minutes" not in ParsedHtml(phone_view.number_html(bare)).text


@pytest.mark.parametrize("state", [state for state in NumberState if state is not NumberState.READY])
def test_without_a_number_it_says_what_goes_on(state: NumberState) -> None:
    page = ParsedHtml(phone_view.number_html(NumberView(state, "Opening it.")))
    assert page.text == "Opening it."
    assert page.values("class") == ["pp-field-message" if state is NumberState.FAILED else "pp-empty"]
