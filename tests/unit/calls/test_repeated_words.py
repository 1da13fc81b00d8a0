"""An assistant that is stuck in its words is found; one that counts, refuses or sings a little is not."""

import pytest

from personaplex_ui.calls.repeated_words import RepeatedWords


def found(text: str, piece_letters: int = 3) -> bool:
    words = RepeatedWords()
    pieces = [text[start : start + piece_letters] for start in range(0, len(text), piece_letters)]
    return any(words.say(piece) for piece in [*pieces, " "])


@pytest.mark.parametrize("letters", [1, 3, 100])
@pytest.mark.parametrize(
    "text",
    [
        " the" * 12,
        " I'm sorry," * 6,
        " Hello! How can I help you?" * 4,
        " Well, let me see." + " of course, of course, and" * 4,
        " one two three four five six seven eight nine ten eleven twelve" * 4,
        " Sorry,\nI see.\n" * 4,
        "很好。" * 12,
        " 您好、请问有什么可以帮您的吗。我在这里听您说话。" * 4,
        "すみません、もう一度お願いします。" * 4,
        "สวัสดีครับ " * 5,
        "ab" * 500,
    ],
)
def test_words_that_go_on_and_on(text: str, letters: int):
    assert found(text, letters)
    assert not found(text[: len(text) // 2], letters)


@pytest.mark.parametrize(
    "text",
    [
        " no, no, no, no, no, no, no, no",
        " I said yes and I said no and I said maybe and I said so and I said it",
        " one hundred and one, one hundred and two, one hundred and three, one hundred and four",
        " Row, row, row your boat, gently down the stream. Merrily, merrily, merrily, merrily, life is",
        "哈哈哈哈哈哈哈哈哈哈",
        "我去过北京、我去过上海、我去过广州、我去过深圳。我也想去成都看看。",
        " ... ... ... ... ... ... ... ... ... ... ... ... ...",
        "",
    ],
)
def test_words_that_people_say(text: str):
    assert not found(text)


def test_the_same_answer_to_a_caller_who_asks_again():
    words = RepeatedWords()
    for _ in range(6):
        assert not words.say(" I cannot help you with that. ")
        words.interrupted()


def test_words_without_a_space_are_not_kept_for_the_whole_call():
    words = RepeatedWords()
    kept = 0
    for number in range(10_000):
        words.say(f"{number:x}-")
        words.say("很好。")
        kept = max(kept, len(words._unfinished))  # pyright: ignore[reportPrivateUsage]
    assert kept < 64
