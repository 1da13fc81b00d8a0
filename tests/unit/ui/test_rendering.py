"""What holds for all HTML of the page: whatever others wrote stays text, and the page asks no other host."""

from dataclasses import replace

import pytest
from jinja2 import UndefinedError

from personaplex_ui.calls.snapshot import EndedCall, Phase, Snapshot
from personaplex_ui.calls.transcript import Utterance
from personaplex_ui.channels.fastrtc_phone.number import NumberState, NumberView
from personaplex_ui.channels.twilio.call_log import PhoneCall
from personaplex_ui.engine.engine import EngineState
from personaplex_ui.ui import phone_view, talk_view
from personaplex_ui.ui.rendering import clock, render
from personaplex_ui.ui.status_view import status_view_html
from personaplex_ui.ui.theme import build_theme, page_css, page_head
from tests.support.parsed_html import HOSTILE, ParsedHtml
from tests.unit.ui.test_status_view import BUSY
from tests.unit.ui.test_talk_view import CALL

H = HOSTILE
ENDED: EndedCall = replace(CALL, call_id=H, voice=H, reason=H, notes=(H,))


@pytest.mark.parametrize(
    "html",
    [
        talk_view.status_html(Snapshot(H, Phase.ENDED, reason=H, notes=(H,))),
        talk_view.transcript_html([Utterance(0.0, 1.0, H)], live=True),
        talk_view.result_html(ENDED),
        talk_view.history_html([ENDED]),
        talk_view.engine_html("echo", H, H),
        talk_view.engine_html("loading", H),
        talk_view.engine_html("loading", "", H),
        talk_view.engine_html("failed", H),
        talk_view.engine_html("failed", "", H),
        talk_view.engine_html("ready", H, H),
        talk_view.field_message_html(H),
        talk_view.preview_html(H, H),
        phone_view.setup_html(True, H, H, False, ()),
        phone_view.setup_html(False, H, "", False, (H,)),
        phone_view.call_html(PhoneCall("CA1", "outbound", H, "busy", 0.0, reason=H)),
        phone_view.call_html(None, H),
        phone_view.number_html(NumberView(NumberState.READY, H, H, H, H, H)),
        phone_view.number_html(NumberView(NumberState.FAILED, H)),
        status_view_html(replace(BUSY, state=EngineState.FAILED, message=H, model=H, device=H)),
    ],
)
def test_hostile_text_stays_text(html: str) -> None:
    page = ParsedHtml(html)
    assert not {"script", "img"} & {tag for tag, _ in page.elements}
    assert "onerror" not in {name for _, attributes in page.elements for name in attributes}
    assert HOSTILE in page.text or HOSTILE in page.values("aria-label")


def test_a_value_that_is_missing_is_not_shown_as_nothing() -> None:
    with pytest.raises(UndefinedError):
        render("preview", src="voices/a.wav")


@pytest.mark.parametrize(
    ("sec", "words"), [(-1, "0:00"), (0, "0:00"), (59.9, "0:59"), (754, "12:34"), (3723, "1:02:03")]
)
def test_clock(sec: float, words: str) -> None:
    assert clock(sec) == words


def test_the_page_asks_no_other_host() -> None:
    assert "http" not in page_css().replace("http://www.w3.org/2000/svg", "")
    head = page_head()
    assert head.startswith("<script>")
    assert head.count("</script>") == 1
    assert "http" not in head.replace("https or on localhost", "")
    assert "googleapis" not in str(vars(build_theme()))
