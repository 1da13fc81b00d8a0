"""One replier in the place of another."""

import logging
from collections.abc import Iterator, Sequence

import pytest

from personaplex_ui.speech.parts import Replier, SpeechPartFailed, Turn
from personaplex_ui.speech.replies.fallback import FallbackReplier
from personaplex_ui.speech.replies.http import HttpReplier
from personaplex_ui.speech.replies.local import LocalReplier

ASKED = [Turn("caller", "How much?")]


class Scripted:
    """Says ``sentences``, then fails if told to."""

    def __init__(self, *sentences: str, fails: bool = False) -> None:
        self._sentences = sentences
        self._fails = fails
        self.closed = False

    def greet(self, role: str) -> str:
        if self._fails:
            raise SpeechPartFailed("The server is down; start it.")
        return self._sentences[0]

    def reply(self, role: str, turns: Sequence[Turn]) -> Iterator[str]:
        try:
            yield from self._sentences
            if self._fails:
                raise SpeechPartFailed("The server is down; start it.")
        finally:
            self.closed = True


class Refusing(Scripted):
    """Fails before it has an iterator to give."""

    def reply(self, role: str, turns: Sequence[Turn]) -> Iterator[str]:
        raise SpeechPartFailed("The server asks to wait.")


def test_the_first_answers_where_it_can() -> None:
    both: Replier = FallbackReplier(Scripted("One.", "Two."), Scripted("Never."))
    assert list(both.reply("", ASKED)) == ["One.", "Two."]
    assert both.greet("") == "One."


@pytest.mark.parametrize("first", [Scripted(fails=True), Refusing()])
def test_the_second_answers_where_the_first_fails(first: Replier, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert list(FallbackReplier(first, Scripted("It is $15.")).reply("", ASKED)) == ["It is $15."]
    [record] = caplog.records
    assert "The server" in record.getMessage()


def test_the_second_greets(caplog: pytest.LogCaptureFixture) -> None:
    assert FallbackReplier(Scripted(fails=True), Scripted("Hello.")).greet("") == "Hello."
    assert "The server is down" in caplog.text


def test_what_was_begun_is_not_begun_anew(caplog: pytest.LogCaptureFixture) -> None:
    both = FallbackReplier(Scripted("It is $15.", fails=True), Scripted("It is $15 a day."))
    assert list(both.reply("", ASKED)) == ["It is $15."]
    assert "ends early" in caplog.text


def test_where_both_fail_the_second_says_why() -> None:
    with pytest.raises(SpeechPartFailed, match="down"):
        list(FallbackReplier(Refusing(), Scripted(fails=True)).reply("", ASKED))


def test_closing_closes_what_works() -> None:
    first = Scripted("One.", "Two.")
    answer = FallbackReplier(first, Scripted("Never.")).reply("", ASKED)
    assert next(answer) == "One."
    answer.close()
    assert first.closed
    assert list(answer) == []


def test_facts_of_the_role_stand_in_for_a_server_that_is_down(caplog: pytest.LogCaptureFixture) -> None:
    both = FallbackReplier(HttpReplier("http://127.0.0.1:1/v1", "key-of-nobody", "small"), LocalReplier())
    role = "You work for City Bikes. A bike costs $15 a day."
    assert list(both.reply(role, [Turn("caller", "How much is a bike?")])) == ["A bike costs $15 a day."]
    assert "cannot be reached; check LLM_BASE_URL" in caplog.text
    assert "key-of-nobody" not in caplog.text
