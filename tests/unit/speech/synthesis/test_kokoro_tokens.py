"""Kokoro's numbers, and where long texts are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personaplex_ui.speech.synthesis.kokoro_tokens import MOST_TOKENS, TOKENS, cut_to_fit, tokens_of


def test_tokens_are_those_of_kokoros_configuration() -> None:
    expected = {
        ";": 1, "?": 6, "—": 9, "…": 10, " ": 16, "A": 24, "O": 31, "T": 36, "W": 39, "Y": 41, "ᵊ": 42,
        "z": 68,
        "ɑ": 69, "æ": 72, "ɔ": 76, "ð": 81, "ʤ": 82, "ə": 83, "ɛ": 86, "ɜ": 87, "ɡ": 92, "ɪ": 102, "ŋ": 112,
        "θ": 119, "ɹ": 123, "ɾ": 125, "ʃ": 131, "ʧ": 133, "ʊ": 135, "ʌ": 138, "ʒ": 147, "ˈ": 156, "ˌ": 157,
        "ᵻ": 177,
    }  # fmt: skip
    assert {phoneme: TOKENS[phoneme] for phoneme in expected} == expected
    assert len(set(TOKENS.values())) == len(TOKENS)


def test_what_kokoro_does_not_know_is_left_out() -> None:
    assert tokens_of("a漢b") == [43, 44]


@pytest.mark.parametrize(
    ("phonemes", "pieces"),
    [
        ("", []),
        ("aaa bbb", ["aaa bbb"]),
        ("aaaa. bb, ccc ddd", ["aaaa. bb,", "ccc ddd"]),
        ("aaa bbbb ccccc", ["aaa bbbb", "ccccc"]),
        ("aaaaaaaaaaaaa", ["aaaaaaaaaa", "aaa"]),
        ("a. bbbbbb cccccc", ["a. bbbbbb", "cccccc"]),
        ("aaaa, b. ccccccccc", ["aaaa, b.", "ccccccccc"]),
    ],
)
def test_a_long_text_is_cut_where_a_voice_may_pause(phonemes: str, pieces: list[str]) -> None:
    assert cut_to_fit(phonemes, most=10) == pieces


@given(st.text(alphabet="ab ,.", max_size=3_000))
def test_nothing_is_lost_and_all_pieces_fit(phonemes: str) -> None:
    pieces = cut_to_fit(phonemes)
    assert all(0 < len(piece) <= MOST_TOKENS for piece in pieces)
    assert "".join(pieces).replace(" ", "") == phonemes.replace(" ", "")
