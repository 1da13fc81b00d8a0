"""What a close frame can say: at most 123 bytes of whole characters, and whether something was left out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personaplex_ui.channels.close_codes import ELLIPSIS, MAX_REASON_BYTES, close_reason


@given(st.text(max_size=200))
def test_any_reason_fits_and_only_one_that_is_cut_ends_with_an_ellipsis(sentence: str):
    whole = sentence.encode(errors="replace").decode()
    reason = close_reason(sentence)
    assert len(reason.encode()) <= MAX_REASON_BYTES
    if len(whole.encode()) <= MAX_REASON_BYTES:
        assert reason == whole
    else:
        assert reason.endswith(ELLIPSIS)
        assert whole.startswith(reason.removesuffix(ELLIPSIS))


@pytest.mark.parametrize(
    ("sentence", "reason"),
    [
        ("", ""),
        ("a" * 123, "a" * 123),
        ("a" * 124, "a" * 120 + "…"),
        ("é" * 61 + "a", "é" * 61 + "a"),
        ("é" * 62, "é" * 60 + "…"),
        ("a" + "é" * 62, "a" + "é" * 59 + "…"),
        ("a" + "€" * 41, "a" + "€" * 39 + "…"),
        ("🙂" * 31, "🙂" * 30 + "…"),
        ("a" + "🙂" * 31, "a" + "🙂" * 29 + "…"),
    ],
)
def test_a_reason_is_cut_between_characters_and_not_before_it_must(sentence: str, reason: str):
    assert close_reason(sentence) == reason


def test_half_a_character_does_not_keep_a_connection_open():
    assert close_reason("a\ud800b") == "a?b"
