"""A caller speaks to the assistant by its name, which asks nothing about the name."""

import pytest

from personaplex_ui.speech.parts import Turn
from personaplex_ui.speech.replies.address import without_address
from personaplex_ui.speech.replies.local import LocalReplier

ROLE = (
    "You work for City Cycles, a bike rental. Your name is Alex. We open at 8 in the morning. "
    "Helmets are free."
)


@pytest.mark.parametrize(
    "said",
    [
        "Alex, when do you open?",
        "Alex when do you open",
        "Hello Alex. When do you open in the morning?",
        "Hey Alex, when do you open?",
        "The low Alex, when do you open in the morning?",  # Whisper's "Hello Alex"
        "Below Alex, when do you open in the morning?",
        "When do you open, Alex?",
        "Thanks, Alex. And when do you open?",
    ],
)
def test_who_is_spoken_to_by_name_answers_the_question(said: str) -> None:
    assert "".join(LocalReplier().reply(ROLE, [Turn("caller", said)])) == "We open at 8 in the morning."


@pytest.mark.parametrize(
    "said",
    [
        "Is Alex there?",
        "Who is Alex?",
        "Alex?",
        "My dog Alex is sick.",
        "Is Alex, the owner, there?",
        "Alexandra, when?",
    ],
)
def test_what_is_about_the_name_is_kept(said: str) -> None:
    assert without_address(said, "Alex") == said


def test_one_of_two_names_is_enough() -> None:
    assert without_address("Omar, how are you?", "Omar Haddad") == "how are you?"
    assert without_address("Omar Haddad, how are you?", "Omar Haddad") == "how are you?"
    assert without_address("When do you open?", "") == "When do you open?"
