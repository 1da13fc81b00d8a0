"""Where sentences end, in whole texts and in pieces."""

import pytest

from personaplex_ui.speech.replies.sentences import SentenceSplitter, sentences_of

TEXTS = [
    ["It is $9.50 a day.", "Dr. Lind is here at 5 p.m. today!", "Really?", "Yes."],
    ["We open at 9 a.m.", "That is early."],
    ["Acme Inc. sells e.g. bolts, nuts, etc. for $1.", "J. Smith owns it."],
    ["Wait...", "What?!", 'He said "No."', "Then he left."],
    ["No end"],
]


@pytest.mark.parametrize("sentences", TEXTS)
def test_whole(sentences: list[str]) -> None:
    assert sentences_of(" ".join(sentences)) == sentences


@pytest.mark.parametrize("sentences", TEXTS)
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_pieces_give_what_the_whole_gives(sentences: list[str], size: int) -> None:
    text = " ".join(sentences)
    splitter = SentenceSplitter()
    found: list[str] = []
    for start in range(0, len(text), size):
        found += splitter.feed(text[start : start + size])
    assert found + splitter.finish() == sentences_of(text)


def test_a_sentence_is_given_as_soon_as_it_is_known() -> None:
    splitter = SentenceSplitter()
    assert splitter.feed("It is $15.") == []
    assert splitter.feed(" ") == ["It is $15."]
    assert splitter.feed("Until 5 p.m. ") == []
    assert splitter.feed("Then no more. ") == ["Until 5 p.m.", "Then no more."]


def test_text_without_an_end_is_cut() -> None:
    splitter = SentenceSplitter(longest=20)
    found = splitter.feed("word " * 20) + splitter.finish()
    assert all(len(piece) <= 20 for piece in found)
    assert " ".join(found) == ("word " * 20).strip()


def test_lines_are_sentences() -> None:
    assert sentences_of("First line\nSecond line.\n\n3. Third") == ["First line", "Second line.", "3. Third"]
