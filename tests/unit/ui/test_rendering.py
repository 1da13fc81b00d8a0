"""What holds for all HTML of the page: whatever others wrote stays text, and the page asks no other host."""

from dataclasses import replace

import pytest
from jinja2 import UndefinedError

from personaplex_ui.channels.fastrtc_phone.number import NumberState, NumberView
from personaplex_ui.channels.twilio.call_log import PhoneCall
from personaplex_ui.engine.engine import EngineState
from personaplex_ui.ui import field_view, phone_view, stage
from personaplex_ui.ui.rendering import render
from personaplex_ui.ui.status_view import status_view_html
from personaplex_ui.ui.theme import build_theme, page_css
from personaplex_ui.voices.catalogue import Voice
from personaplex_ui.voices.library import VoiceLibrary
from tests.support.parsed_html import HOSTILE, ParsedHtml
from tests.unit.ui.test_status_view import BUSY

H = HOSTILE
VOICES = VoiceLibrary([Voice("NATF2", H, H, H, H)], default="NATF2")


@pytest.mark.parametrize(
    "html",
    [
        stage.stage_html(VOICES, H),
        field_view.field_message_html(H),
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
        render("field_message", good=True)


def test_the_page_asks_no_other_host() -> None:
    assert "http" not in page_css().replace("http://www.w3.org/2000/svg", "")
    assert "googleapis" not in str(vars(build_theme()))
