"""Words in their sentence, as Kokoro's phonemes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personaplex_ui.speech.synthesis.kokoro_tokens import TOKENS
from personaplex_ui.speech.synthesis.lexicon import Lexicon
from personaplex_ui.speech.synthesis.pronunciation import Pronunciation, spelled_sounds
from personaplex_ui.speech.synthesis.spoken_text import spoken

SAY = Pronunciation(
    Lexicon(
        {
            "apple": "ˈæpᵊl",
            "table": "tˈAbᵊl",
            "give": "ɡˈɪv",
            "it": "ɪt",
            "is": "ɪz",
            "us": "ˌʌs",
            "live": {"DEFAULT": "lˈIv", "VERB": "lˈɪv"},
            "close": {"DEFAULT": "klˈOs", "NOUN": "klˈOz", "VERB": "klˈOz"},
            "use": {"DEFAULT": "jˈuz", "NOUN": "jˈus"},
            "read": {"DEFAULT": "ɹˈid", "VBN": "ɹˈɛd", "VBD": "ɹˈɛd"},
            "can": {"DEFAULT": "kæn", "None": "kˈæn"},
            "we": "wi",
            "have": "hæv",
            "for": "fɔɹ",
            "water": "wˈɔɾəɹ",
            "pay": "pˈA",
            "pal": "pˈæl",
            "cheese": "ʧˈiz",
            "cake": "kˈAk",
            "door": "dˈɔɹ",
            "good": "ɡˈʊd",
            "wi-fi": "wˈIfˌI",
            "NASA": "nˈæsə",
        }
    )
)


@pytest.mark.parametrize(
    ("words", "phonemes"),
    [
        ("the apple", "ði ˈæpᵊl"),
        ("the table", "ðə tˈAbᵊl"),
        ("an apple, a table", "ɐn ˈæpᵊl, ɐ tˈAbᵊl"),
        ("A table", "ɐ tˈAbᵊl"),
        ("table A is good", "tˈAbᵊl ˈA ɪz ɡˈʊd"),
        ("plan A.", "plˈæn ˈA."),
        ("to us", "tʊ ˌʌs"),
        ("to table", "tə tˈAbᵊl"),
        ("give it to.", "ɡˈɪv ɪt tu."),
        ("we can", "wi kˈæn"),
        ("we can give it", "wi kæn ɡˈɪv ɪt"),
        ("We can", "wˌi kˈæn"),
        ("I live", "ˌI lˈɪv"),
        ("live water", "lˈIv wˈɔTəɹ"),
        ("Close the door.", "klˈOz ðə dˈɔɹ."),
        ("the use", "ðə jˈus"),
        ("we have read it", "wi hæv ɹˈɛd ɪt"),
        ("used to", "jˈust tu"),
        ("the ATM", "ði ˌAtˌiˈɛm"),
        ("the ATM's", "ði ˌAtˌiˈɛmz"),
        ("nine P.M, good", "nˈIn pˌiˈɛm, ɡˈʊd"),
        ("NASA", "nˈæsə"),
        ("XQZ", "ˌɛkskjˌuzˈi"),
        ("GOOD", "ɡˈʊd"),
        ("give US", "ɡˈɪv jˌuˈɛs"),
        ("PayPal", "pˈApˌæl"),
        ("cheesecake", "ʧˈizkˌAk"),
        ("Wi-Fi", "wˈIfˌI"),
        ("pay-cake", "pˈA kˈAk"),
        ("B twelve", "bˈi twˈɛlv"),
        ("O'Cake", "OkˈAk"),
        ("ATMs", "ˌAtˌiˈɛmz"),
        ("hf", "ˌAʧˈɛf"),
        ("", ""),
    ],
)
def test_words_in_their_sentence(words: str, phonemes: str) -> None:
    assert SAY.phonemes(words) == phonemes


def test_letters_are_said_by_their_names() -> None:
    assert spelled_sounds("A.B") == "ˌAbˈi"
    assert spelled_sounds("w") == "dˈʌbᵊlju"


@given(st.text(max_size=60))
def test_all_phonemes_are_kokoros(text: str) -> None:
    assert set(SAY.phonemes(spoken(text))) <= set(TOKENS)
