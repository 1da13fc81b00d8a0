"""What Whisper makes up, and what it does not."""

import pytest

from personaplex_ui.speech.recognition.plausibility import (
    Heard,
    is_doubtful,
    is_loop,
    is_speech,
    without_repeats,
)


@pytest.mark.parametrize(
    ("heard", "has_context"),
    [
        (Heard("Ten of clubs.", -0.08, 0.05), False),
        (Heard("Five five.", -1.23, 0.37), False),  # short, and 5 dB above noise
        (Heard("Five five.", -0.85, 0.21), True),
        (Heard("Thank you.", -0.3, 0.05), False),
        (Heard("Bye.", -0.5, 0.1), True),
        (Heard("Привет, как дела?", -0.3, 0.1), False),
    ],
)
def test_speech_stays(heard: Heard, has_context: bool) -> None:
    assert is_speech(heard, has_context)


@pytest.mark.parametrize(
    ("heard", "has_context"),
    [
        (Heard("you", -1.27, 0.99), False),  # silence
        (Heard("We open at nine.", -1.56, 0.75), True),  # white noise, after a role
        (Heard("I'm", -2.9, 0.39), True),  # a chord
        (Heard("The end of the video.", -2.01, 0.46), False),  # clicks
        (Heard("Thank you.", -0.3, 0.4), False),
        (Heard("Thanks for watching!", -1.0, 0.1), False),
        (Heard("", -0.1, 0.0), False),
        (Heard(". . .", -0.1, 0.0), False),
    ],
)
def test_what_nobody_said_goes(heard: Heard, has_context: bool) -> None:
    assert not is_speech(heard, has_context)


def test_what_repeats_itself_is_found() -> None:
    assert is_loop("A" + " be" * 60)
    assert not is_loop("Unless to be rather cold-hearted and rather selfish is to be ill-disposed.")
    assert not is_loop("No, no, no, no, no.")
    assert not is_loop("")


def test_a_sentence_that_comes_twice_too_fast_is_said_once() -> None:
    assert without_repeats("Ten of clubs. 10 of clubs. Ten of clubs.", 1.1) == (
        "Ten of clubs. 10 of clubs. Ten of clubs."
    )
    assert without_repeats("Ten of clubs. Ten of clubs!", 1.1) == "Ten of clubs."
    assert without_repeats("Ten of clubs. Ten of clubs!", 2.0) == "Ten of clubs. Ten of clubs!"


@pytest.mark.parametrize(
    ("text", "log_probability", "doubtful"),
    [
        ("He was not an ill-disposed young man.", -0.54, False),
        ("Guten Tag, it must again be the reason.", -1.01, True),
        ("Okay.", -1.03, False),
        ("Guten Tag, it must begin a reason. Guten Tag. It must begin a reason.", -0.5, True),
        ("Ten of clubs. Ten of clubs.", -0.5, False),
        ("Yes. I do. Yes. And you?", -0.5, False),
    ],
)
def test_what_may_have_been_said_in_another_language_is_doubtful(
    text: str, log_probability: float, doubtful: bool
) -> None:
    assert is_doubtful(Heard(text, log_probability, 0.2)) is doubtful
