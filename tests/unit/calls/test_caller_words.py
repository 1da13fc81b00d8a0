"""The caller's words in the lines of a conversation: whole utterances and pieces, in time, late and odd."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personaplex_ui.audio.frames import FRAME_SEC
from personaplex_ui.calls.caller_words import MOST_CHARACTERS, CallerWords, plain_piece
from personaplex_ui.calls.conversation import Conversation
from personaplex_ui.calls.conversation_lines import MOST_LINES, Line, Who
from tests.support.conversations import Script

TWO_LINES = Script(9.0, [(1.0, 3.0), (5.0, 7.0)], [(3.4, 4.6)])


def caller(conversation: Conversation) -> list[Line]:
    return [line for line in conversation.lines if line.who is Who.CALLER]


def texts(conversation: Conversation) -> list[str]:
    return [line.text for line in caller(conversation)]


def test_an_utterance_goes_to_the_line_that_it_was_said_in():
    talk = TWO_LINES.played()
    talk.hear_words(" When do you open?", 5.0, 7.0)
    assert texts(talk) == ["", "When do you open?"]
    talk.hear_words(" Good morning.", 0.96, 3.04)
    assert texts(talk) == ["Good morning.", "When do you open?"]
    assert [(line.start_sec, line.end_sec) for line in caller(talk)] == [
        pytest.approx(times, abs=FRAME_SEC) for times in TWO_LINES.caller
    ]


def test_words_that_reach_over_two_lines_go_where_most_of_them_were_said():
    talk = TWO_LINES.played()
    talk.hear_words(" I wonder when you open.", 2.5, 6.5)
    assert texts(talk) == ["", "I wonder when you open."]


def test_pieces_of_words_are_joined_in_their_lines():
    talk = TWO_LINES.played()
    for piece, start_sec in ((" Good", 1.1), (" mor", 1.6), ("ning", 1.8), (".", 2.9), (" When", 5.1)):
        talk.hear_words(piece, start_sec, start_sec + 0.2)
    assert texts(talk) == ["Good morning.", "When"]


def test_a_word_is_not_torn_between_two_lines():
    talk = Script(8.0, [(1.0, 2.0), (3.5, 5.0)]).played()
    talk.hear_words(" won", 1.9, 2.1)
    talk.hear_words("derful", 2.1, 2.4)
    assert texts(talk) == ["wonderful", ""]


def test_what_is_recognised_late_stands_where_it_was_said():
    """Two threads may recognise the second utterance of a line before the first."""
    talk = Script(6.0, [(1.0, 2.0), (2.8, 4.0)]).played()
    talk.hear_words(" and then that.", 2.8, 4.0)
    talk.hear_words(" First this", 1.0, 2.0)
    assert texts(talk) == ["First this and then that."]


def test_words_just_beside_a_line_are_of_that_line():
    talk = TWO_LINES.played()
    talk.hear_words(" So,", 0.5, 0.8)
    talk.hear_words(" goodbye", 7.3, 7.6)
    assert texts(talk) == ["So,", "goodbye"]


def test_a_voice_too_quiet_for_a_line_gets_one_of_its_own():
    talk = TWO_LINES.played()
    talk.hear_words(" Psst", 8.0, 8.3)
    talk.hear_words(" over", 8.4, 8.6)
    talk.hear_words(" here", 8.6, 8.9)
    last = caller(talk)[-1]
    assert (last.text, last.start_sec, last.end_sec, last.open) == ("Psst over here", 8.0, 8.9, False)
    talk.hear_words(" Hello?", 10.5, 11.0)
    assert texts(talk)[-2:] == ["Psst over here", "Hello?"]


def test_words_that_come_before_their_sound_is_loud_are_of_its_line():
    talk = Conversation()
    talk.hear_words(" Good", 1.0, 1.1)
    for frame in range(12, 25):
        talk.hear_caller(frame * FRAME_SEC, -20.0)
    talk.hear_words(" morning", 1.4, 1.9)
    [line] = caller(talk)
    assert (line.text, line.start_sec, line.open) == ("Good morning", 1.0, True)
    assert line.end_sec == pytest.approx(2.0)


def test_quiet_words_after_an_answer_begin_a_line():
    talk = Conversation()
    talk.hear_words(" Are you there?", 0.0, 1.0)
    talk.say(" Yes.", 1.2, 1.4)
    talk.hear_words(" Good.", 1.6, 2.0)
    assert texts(talk) == ["Are you there?", "Good."]


def test_whoever_whispers_on_fills_line_after_line():
    talk = Conversation()
    for second in range(130):
        talk.hear_words(" word", float(second), second + 0.9)
    assert [line.end_sec - line.start_sec <= 60.0 for line in caller(talk)] == [True] * 3


def test_a_reader_is_told_of_words_that_come_after_the_end():
    talk = TWO_LINES.played()
    seen = talk.version
    talk.hear_words(" When do you open?", 5.0, 7.0)
    assert [(line.n, line.text, line.open) for line in talk.changed_since(seen)] == [
        (caller(talk)[1].n, "When do you open?", False)
    ]


@pytest.mark.parametrize("nothing", ["", " ", "\n\t", "\x00\x1b"])
def test_nothing_adds_nothing(nothing: str):
    talk = TWO_LINES.played()
    before = talk.version
    talk.hear_words(nothing, 1.0, 3.0)
    assert (texts(talk), talk.version) == (["", ""], before)


@pytest.mark.parametrize(
    ("given_text", "shown"),
    [
        (" <script>alert(1)</script>", " <script>alert(1)</script>"),
        (" one\n\n2\n00:00:01,000 --> 00:00:02,000\nmore", " one 2 00:00:01,000 --> 00:00:02,000 more"),
        (" a\x00b\x1b[31m\x85c\ud800", " ab[31m c"),
        ("\u2028word\u2029", " word"),
        ("ning", "ning"),
        ("日本語  です", "日本語 です"),
    ],
)
def test_words_stand_on_one_line_and_can_be_shown(given_text: str, shown: str):
    assert plain_piece(given_text) == shown


def test_a_recogniser_that_says_too_much_fills_one_line_at_most():
    talk = TWO_LINES.played()
    for _ in range(100):
        talk.hear_words(" blah" * 2_000_000, 1.0, 3.0)
    assert len(texts(talk)[0]) <= MOST_CHARACTERS
    assert texts(talk)[1] == ""


def test_words_for_lines_that_are_forgotten_do_no_harm():
    talk = Conversation()
    for number in range(MOST_LINES + 100):
        talk.typed(f"text {number}", float(number))
        talk.hear_words(" word", number + 0.2, number + 0.8)
    assert len(talk.lines) == MOST_LINES
    talk.hear_words(" early", 0.2, 0.8)
    assert len(talk.lines) == MOST_LINES


@given(st.lists(st.tuples(st.integers(0, 100), st.text("abc", min_size=1, max_size=3)), max_size=30))
def test_pieces_end_in_the_order_of_their_times_however_they_come(pieces: list[tuple[int, str]]):
    words = CallerWords()
    for start_sec, word in pieces:
        words.add(f" {word}", start_sec)
    assert words.text.split() == [word for _, word in sorted(pieces, key=lambda piece: piece[0])]
