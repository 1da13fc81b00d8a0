import pytest

from personaplex_ui.calls.snapshot import End
from personaplex_ui.calls.watchdog import GOODBYE, Verdict, Watchdog


@pytest.fixture
def dog() -> Watchdog:
    return started(600.0)


def started(max_sec: float) -> Watchdog:
    dog = Watchdog(max_sec)
    dog.start(0.0)
    return dog


def alive(dog: Watchdog, now: float) -> Verdict:
    dog.heard(now)
    dog.answered(now)
    return dog.check(now)


def test_a_healthy_call_goes_on(dog: Watchdog):
    assert all(alive(dog, now / 5) == Verdict() for now in range(500))


@pytest.mark.parametrize(
    ("max_sec", "words"),
    [(60, "after 1 minute."), (90, "after 1 minute and 30 seconds."), (600, "after 10 minutes.")],
)
def test_goodbye_is_said_once_ten_seconds_before_the_limit_which_is_told(max_sec: int, words: str):
    dog = started(max_sec)
    said = [now for now in range(max_sec) if alive(dog, float(now)).goodbye == GOODBYE]
    assert said == [max_sec - 10]
    verdict = alive(dog, float(max_sec))
    assert words in verdict.hang_up
    assert verdict.end is End.TIME_LIMIT


def test_a_caller_without_packets_is_gone(dog: Watchdog):
    alive(dog, 1.0)
    assert dog.check(8.9) == Verdict()
    assert "connection was lost" in dog.check(9.0).hang_up
    assert dog.check(9.0).end is End.LOST


def test_an_engine_that_answers_nothing_ends_the_call_with_words(dog: Watchdog):
    alive(dog, 1.0)
    for tenth in range(11, 61):
        dog.heard(tenth / 10)
        assert dog.check(tenth / 10) == Verdict()
    dog.heard(6.1)
    assert "engine" in dog.check(6.1).hang_up
    assert dog.check(6.1).end is End.FAILED


def test_a_caller_who_comes_back_after_a_pause_is_owed_no_answer_for_it(dog: Watchdog):
    """A stalled network, or a microphone that was asked for: the first packet is not yet a frame."""
    alive(dog, 1.0)
    dog.heard(8.0)
    assert dog.check(8.0) == Verdict()
    dog.heard(8.1)
    dog.answered(8.1)
    assert dog.check(8.2) == Verdict()
