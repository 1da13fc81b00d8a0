"""What is asked: the caller's last words with the conversation before, and the role without its cues."""

import pytest

from personaplex_ui.calls.conversation_lines import Line, Who
from personaplex_ui.calls.cues import Cues
from personaplex_ui.routing.question import caller_took_turn, question_in, role_for_answers
from personaplex_ui.speech.parts import Turn


def lines(*said: tuple[Who, str]) -> list[Line]:
    return [Line(n, who, float(n), n + 0.5, text) for n, (who, text) in enumerate(said)]


def test_it_ends_with_the_callers_words_and_knows_what_came_before() -> None:
    said = lines(
        (Who.ASSISTANT, "Hello."),
        (Who.CALLER, "Hi."),
        (Who.CALLER, ""),
        (Who.CALLER, "What does it cost?"),
        (Who.TYPED, "Welcome"),
        (Who.CALLER, "A bike."),
        (Who.ASSISTANT, "Let me check."),
        (Who.CALLER, ""),
    )
    question = question_in(said)
    assert question is not None
    assert question.turns == (
        Turn("assistant", "Hello."),
        Turn("caller", "Hi. What does it cost?"),
        Turn("assistant", "Welcome"),
        Turn("caller", "A bike."),
    )
    assert question_in(said, question.end) is None
    more = [*said[:5], Line(5, Who.CALLER, 5, 6, "A bike. And a helmet?"), *said[6:]]
    assert question_in(more, question.end) is not None


@pytest.mark.parametrize("said", [[], lines((Who.ASSISTANT, "Hello.")), lines((Who.CALLER, " "))])
def test_without_words_there_is_no_question(said: list[Line]) -> None:
    assert question_in(said) is None


def test_only_a_caller_who_speaks_for_long_takes_the_turn() -> None:
    caller = [Line(0, Who.CALLER, 1.0, 2.0)]
    assert caller_took_turn(caller, 1.2)
    assert not caller_took_turn(caller, 1.5)
    assert not caller_took_turn([Line(0, Who.ASSISTANT, 1.0, 9.0)], 1.2)


def test_whoever_answers_is_not_told_to_give_cues() -> None:
    role = (
        "A bike is $15 a day. When you do not know, say \u201cLet me check !!!\u201d and wait. Be kind.\n"
        "Say Let me look that up if asked for hours. Bye."
    )
    cues = Cues(ask=("!!!",), human=("let me look that up",))
    assert role_for_answers(role, cues).split() == [
        "A",
        "bike",
        "is",
        "$15",
        "a",
        "day.",
        "Be",
        "kind.",
        "Bye.",
    ]
    assert role_for_answers(role, Cues()) == role
