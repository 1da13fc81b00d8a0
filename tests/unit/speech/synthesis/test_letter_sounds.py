"""Words that no lexicon has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personaplex_ui.speech.synthesis.kokoro_tokens import TOKENS
from personaplex_ui.speech.synthesis.letter_sounds import letters_sounded
from personaplex_ui.speech.synthesis.stress import PRIMARY, VOWELS


@pytest.mark.parametrize(
    ("word", "sounds"),
    [
        ("zillow", "zˈɪlO"),
        ("snazzle", "snˈæzᵊl"),
        ("smythe", "smˈIð"),
        ("knight", "nˈIt"),
        ("phone", "fˈOn"),
        ("chess", "ʧˈɛs"),
        ("queen", "kwˈin"),
        ("ship", "ʃˈɪp"),
        ("wrote", "ɹˈOt"),
        ("jaxon", "ʤˈæksən"),
        ("brayden", "bɹˈAdən"),
        ("mackenzie", "mˈækənzi"),
        ("station", "stˈAʃən"),
        ("kowalski", "kOwˈɑlski"),
        ("moretti", "mOɹˈɛti"),
        ("nakamura", "nəkəmˈuɹə"),
        ("giordano", "ʤOɹdˈɑnO"),
        ("bruschetta", "bɹuskˈɛtə"),
    ],
)
def test_names_and_new_words(word: str, sounds: str) -> None:
    assert letters_sounded(word) == sounds


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz'", min_size=1, max_size=60))
def test_every_word_can_be_said(word: str) -> None:
    sounds = letters_sounded(word)
    if word.strip("'"):
        assert sounds.count(PRIMARY) == 1
        assert sounds[sounds.index(PRIMARY) + 1] in VOWELS
        assert all(sound in TOKENS or sound == "ɾ" for sound in sounds)
    else:
        assert sounds == ""
