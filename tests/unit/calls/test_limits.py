"""How many calls one address may have: at once, within a minute, and that nobody is remembered for ever."""

import pytest

from personaplex_ui.calls.limits import AddressLimits
from personaplex_ui.errors import TooManyCalls
from tests.support.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock(0.0)


def test_so_many_at_once_and_no_more(clock: Clock) -> None:
    limits = AddressLimits(2, 0, clock)
    limits.admit("a")
    limits.admit("a")
    limits.admit("b")
    with pytest.raises(TooManyCalls, match=r"at once \(2\)"):
        limits.admit("a")
    limits.release("a")
    limits.admit("a")


def test_so_many_a_minute_and_no_more(clock: Clock) -> None:
    limits = AddressLimits(0, 3, clock)
    for second in (0.0, 10.0, 20.0):
        clock.now = second
        limits.admit("a")
        limits.release("a")
    with pytest.raises(TooManyCalls, match=r"within a minute.*in 40 seconds"):
        limits.admit("a")
    limits.admit("b")
    clock.now = 60.0
    limits.admit("a")
    with pytest.raises(TooManyCalls):
        limits.admit("a")


def test_a_refused_call_does_not_count(clock: Clock) -> None:
    limits = AddressLimits(1, 2, clock)
    limits.admit("a")
    for _ in range(5):
        with pytest.raises(TooManyCalls, match="at once"):
            limits.admit("a")
    limits.release("a")
    limits.admit("a")


def test_an_unknown_address_is_not_limited(clock: Clock) -> None:
    limits = AddressLimits(1, 1, clock)
    for _ in range(20):
        limits.admit("")
    limits.release("")


def test_zero_is_no_limit(clock: Clock) -> None:
    limits = AddressLimits(0, 0, clock)
    for _ in range(200):
        limits.admit("a")


def test_a_check_counts_nothing(clock: Clock) -> None:
    limits = AddressLimits(1, 1, clock)
    for _ in range(5):
        limits.check("a")
    limits.admit("a")
    with pytest.raises(TooManyCalls):
        limits.check("a")
    limits.check("")
