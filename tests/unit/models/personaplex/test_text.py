import pytest

from personaplex_ui.errors import SpeakQueueFull
from personaplex_ui.models.personaplex.runtime.text import ForcedSpeech, PieceReader, paced_tokens

PIECES = ["<eop>", "<s>", "</s>", "<pad>", "▁Good", "▁mor", "ning", ".", "<0xE2>", "<0x82>", "<0xAC>", "▁"]


class Tokenizer:
    """Knows a handful of pieces; spells any other word as two tokens."""

    def encode(self, text: str) -> list[int]:
        return {"Good": [4], "morning.": [5, 6, 7]}.get(text, [9, 10])

    def id_to_piece(self, token: int) -> str:
        return PIECES[token]


def read(*tokens: int) -> list[str]:
    reader = PieceReader(Tokenizer())
    return [reader.push(token) for token in tokens]


def test_pieces_become_words_with_their_spaces_and_paddings_nothing():
    assert read(3, 0, 4, 3, 3, 0, 5, 6, 7, 3) == ["", "", " Good", "", "", "", " mor", "ning", ".", ""]


def test_a_letter_of_several_bytes_appears_with_its_last():
    assert read(8, 9, 10, 4) == ["", "", "€", " Good"]


def test_a_broken_letter_is_marked_and_does_not_swallow_the_next_word():
    assert read(8, 4) == ["", "� Good"]


def test_control_pieces_are_not_shown():
    assert read(1, 2) == ["", ""]


def test_forced_speech_is_paced_like_speech():
    tokens = paced_tokens(Tokenizer(), "Good morning.")
    assert [token for token in tokens if token not in (0, 3)] == [4, 5, 6, 7]
    assert tokens[:2] == [0, 4]
    assert tokens.count(0) == 2
    sec = len(tokens) / 12.5
    assert 0.6 < sec < 1.4


def test_a_long_word_of_few_letters_is_never_cut():
    assert paced_tokens(Tokenizer(), "x") == [0, 9, 10]


def test_texts_follow_each_other_and_then_the_model_speaks_for_itself():
    speech = ForcedSpeech(Tokenizer())
    speech.add("x")
    speech.add("x")
    assert [speech.next_token() for _ in range(7)] == [0, 9, 10, 0, 9, 10, None]


def test_the_eleventh_text_is_refused():
    speech = ForcedSpeech(Tokenizer())
    for _ in range(10):
        speech.add("Good")
    with pytest.raises(SpeakQueueFull, match="Ten texts"):
        speech.add("Good")
    speech.next_token()
    speech.add("Good")


def test_nothing_to_say_takes_no_time():
    speech = ForcedSpeech(Tokenizer())
    speech.add("   ")
    assert speech.next_token() is None
