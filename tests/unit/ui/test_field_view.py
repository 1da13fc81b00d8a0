"""The HTML beside the controls. That it escapes everything is tested in test_rendering.py."""

import pytest

from personaplex_ui.ui import field_view
from tests.support.parsed_html import ParsedHtml


@pytest.mark.parametrize(
    ("sentence", "good", "role"),
    [
        ("", False, []),
        ("", True, []),
        ("Too long.", False, ["alert"]),
        ("Your voice is ready.", True, ["status"]),
    ],
)
def test_a_message_at_a_field_is_announced_only_when_there_is_one(
    sentence: str, good: bool, role: list[str]
) -> None:
    page = ParsedHtml(field_view.field_message_html(sentence, good))
    assert (page.text, page.values("role")) == (sentence, role)


@pytest.mark.parametrize(
    ("used", "words"),
    [
        (10, "10 of 256 characters"),
        (256, "256 of 256 characters"),
        (300, "300 of 256 characters: 44 too many"),
    ],
)
def test_the_counter_beside_the_role(used: int, words: str) -> None:
    page = ParsedHtml(field_view.prompt_counter_html(used, 256))
    assert page.text == words
    assert page.values("class") == ["pp-counter pp-over" if used > 256 else "pp-counter"]
