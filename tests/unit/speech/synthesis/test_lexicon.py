"""Known words, their endings, and files that are no lexicon."""

import json
from pathlib import Path

import pytest

from personaplex_ui.speech.parts import SpeechPartFailed
from personaplex_ui.speech.synthesis import lexicon
from personaplex_ui.speech.synthesis.kokoro_tokens import TOKENS
from personaplex_ui.speech.synthesis.lexicon import Lexicon
from personaplex_ui.speech.synthesis.own_words import OWN_WORDS

WORDS = Lexicon(
    {
        "cat": "kˈæt",
        "stop": "stˈɑp",
        "make": "mˈAk",
        "try": "tɹˈI",
        "wait": "wˈAt",
        "plan": "plˈæn",
        "judge": "ʤˈʌʤ",
        "need": "nˈid",
        "final": "fˈInᵊl",
        "happy": "hˈæpi",
        "Paris": "pˈæɹɪs",
        "use": {"DEFAULT": "jˈuz", "NOUN": "jˈus"},
        "had": {"DEFAULT": "hæd", "None": "hˌæd", "VERB": None},
    },
    {"cat": "never", "dog": "dˈɔɡ"},
)


@pytest.mark.parametrize(
    ("word", "sounds"),
    [
        ("cat", "kˈæt"),
        ("Cat", "kˈæt"),
        ("CAT", "kˈæt"),
        ("dog", "dˈɔɡ"),
        ("paris", "pˈæɹɪs"),
        ("cats", "kˈæts"),
        ("dogs", "dˈɔɡz"),
        ("cat's", "kˈæts"),
        ("dogs'", "dˈɔɡz"),
        ("judges", "ʤˈʌʤᵻz"),
        ("tries", "tɹˈIz"),
        ("tried", "tɹˈId"),
        ("stopped", "stˈɑpt"),
        ("planned", "plˈænd"),
        ("needed", "nˈidᵻd"),
        ("waited", "wˈAɾᵻd"),
        ("waiting", "wˈAɾɪŋ"),
        ("making", "mˈAkɪŋ"),
        ("stopping", "stˈɑpɪŋ"),
        ("maker", "mˈAkəɹ"),
        ("finally", "fˈInli"),
        ("happily", "hˈæpili"),
        ("blorp", None),
        ("s", None),
        ("ed", None),
        ("", None),
        ("'s", None),
        ("cat" * 20, None),
    ],
)
def test_words_and_their_endings(word: str, sounds: str | None) -> None:
    assert WORDS.sounds_of(word) == sounds


def test_a_word_that_sounds_in_several_ways() -> None:
    assert WORDS.sounds_of("use") == "jˈuz"
    assert WORDS.sounds_of("use", ("NOUN",)) == "jˈus"
    assert WORDS.sounds_of("had", ("None", "VERB")) == "hˌæd"
    assert WORDS.sounds_of("had", ("VERB",)) == "hæd"


def test_lexicons_are_read_in_their_order(tmp_path: Path) -> None:
    best, next_best = tmp_path / "best.json", tmp_path / "next.json"
    best.write_text(json.dumps({"tomato": "təmˈATO"}), encoding="utf-8")
    next_best.write_text(json.dumps({"tomato": "təmˈɑTO", "potato": "pətˈATO"}), encoding="utf-8")
    words = Lexicon.read([best, next_best])
    assert words.sounds_of("Jalapenos") == "hˌɑləpˈAnjOz"
    assert [words.sounds_of("tomato"), words.sounds_of("potato")] == ["təmˈATO", "pətˈATO"]


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b"\xff\xfe", b"[" * 200_000, b'{"a": NaN'])
def test_a_file_that_is_no_lexicon(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "us_gold.json"
    path.write_bytes(content)
    with pytest.raises(SpeechPartFailed, match=r"lexicon us_gold.json cannot be used.*Delete it"):
        Lexicon.read([path])


def test_a_lexicon_that_is_missing_or_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SpeechPartFailed, match="No such file") as caught:
        Lexicon.read([tmp_path / "gone.json"])
    assert str(tmp_path) not in str(caught.value)
    monkeypatch.setattr(lexicon, "LARGEST_FILE_BYTES", 10)
    (tmp_path / "big.json").write_text('{"word": "wˈɜɹd"}', encoding="utf-8")
    with pytest.raises(SpeechPartFailed, match="too large"):
        Lexicon.read([tmp_path / "big.json"])


def test_our_own_words_are_in_kokoros_phonemes() -> None:
    assert len(OWN_WORDS) > 100
    assert all(word == word.lower() and word.isalpha() for word in OWN_WORDS)
    assert all(set(sounds) <= set(TOKENS) and "ˈ" in sounds for sounds in OWN_WORDS.values())
