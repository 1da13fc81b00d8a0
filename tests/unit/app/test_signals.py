import signal
import threading

import pytest

from personaplex_ui.app.signals import SENT_TWICE_WITHIN_SEC, SIGNALS, ShutdownSignals
from tests.support.clock import Clock


@pytest.fixture
def told() -> list[str | int]:
    return []


@pytest.fixture
def clock() -> Clock:
    return Clock(0.0)


@pytest.fixture
def signals(told: list[str | int], clock: Clock) -> ShutdownSignals:
    return ShutdownSignals(lambda: bool(told.append("asked")), told.append, clock)


@pytest.mark.parametrize("first", SIGNALS)
@pytest.mark.parametrize("second", SIGNALS)
def test_the_first_one_asks_and_the_second_one_ends_unless_it_is_the_same_request(
    signals: ShutdownSignals, told: list[str | int], clock: Clock, first: int, second: int
) -> None:
    for _ in range(3):
        signals.handle(first, None)
        assert told == ["asked"]
        clock.now += SENT_TWICE_WITHIN_SEC / 3
    signals.handle(second, None)
    assert told == ["asked", 128 + second]


def test_handlers_are_put_back(signals: ShutdownSignals, told: list[str | int]) -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with signals.caught():
        signal.raise_signal(signal.SIGTERM)
    assert told == ["asked"]
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_a_hang_up_that_is_ignored_stays_ignored(signals: ShutdownSignals, told: list[str | int]) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals.caught():
            signal.raise_signal(signal.SIGHUP)
            assert told == []
            signal.raise_signal(signal.SIGINT)
            assert told == ["asked"]
    finally:
        signal.signal(signal.SIGHUP, before)


def test_in_another_thread_nothing_is_caught(signals: ShutdownSignals) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def catch() -> None:
        with signals.caught():
            assert signal.getsignal(signal.SIGTERM) is before

    thread = threading.Thread(target=catch)
    thread.start()
    thread.join()
