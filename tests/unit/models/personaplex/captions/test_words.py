"""From a caller's text tokens to pieces with times."""

from personaplex_ui.engine.speech_model import Heard
from personaplex_ui.models.personaplex.captions.words import CallerWords

PIECES = {0: "<unk>", 3: "<pad>", 4: "▁good", 5: "▁morn", 6: "ing", 7: "<0xC3>", 8: "<0xA9>", 9: "</s>"}


class Tokenizer:
    def encode(self, text: str) -> list[int]:
        raise AssertionError(text)

    def id_to_piece(self, token: int) -> str:
        if token not in PIECES:
            raise IndexError(token)
        return PIECES[token]


def heard(tokens: list[int], delay: int = 6) -> list[Heard | None]:
    words = CallerWords(Tokenizer(), delay)
    return [words.push(token) for token in tokens]


def test_padding_says_nothing_and_a_word_was_said_half_a_second_ago() -> None:
    tokens = [3] * 9 + [0, 4, 3, 0, 5, 6, 3, 9]
    found = heard(tokens)
    assert found[10] == Heard(" good", 7, 6)
    assert found[13:15] == [Heard(" morn", 7, 6), Heard("ing", 7, 6)]
    assert sum(one is not None for one in found) == 3


def test_nothing_was_said_before_the_call() -> None:
    assert heard([4, 4, 3, 4]) == [Heard(" good", 1, 0), Heard(" good", 2, 1), None, Heard(" good", 4, 3)]


def test_a_letter_of_two_bytes_comes_whole_and_a_token_without_a_piece_is_nothing() -> None:
    assert heard([7, 8, 500], delay=0) == [None, Heard("é", 1, 0), None]
