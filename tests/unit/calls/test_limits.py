"""The limits of one address: at once, within a minute, and that nobody is remembered for ever."""

import pytest

from personaplex_ui.calls.limits import AddressLimits
from personaplex_ui.errors import TooManyCalls
from tests.support.clock import Clock


def test_only_as_many_at_once() -> None:
    limits = AddressLimits(2, 0, Clock())
    for address in "aab":
        limits.check(address)  # counts nothing
        limits.admit(address)
    for refuse in (limits.admit, limits.check):
        with pytest.raises(TooManyCalls, match=r"at once \(2\)"):
            refuse("a")
    limits.release("a")
    limits.admit("a")


def test_a_place_that_is_held_counts_and_is_no_begin() -> None:
    limits = AddressLimits(1, 1, Clock())
    limits.hold("a")
    with pytest.raises(TooManyCalls, match="at once"):
        limits.hold("a")
    with pytest.raises(TooManyCalls, match="at once"):
        limits.admit("a")
    limits.release("a")
    limits.admit("a")


def test_only_as_many_a_minute() -> None:
    clock = Clock(0.0)
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


def test_a_refused_call_does_not_count() -> None:
    limits = AddressLimits(1, 2, Clock())
    limits.admit("a")
    for _ in range(5):
        with pytest.raises(TooManyCalls, match="at once"):
            limits.admit("a")
    limits.release("a")
    limits.admit("a")


@pytest.mark.parametrize(("limit", "address"), [(1, ""), (0, "a")])
def test_an_unknown_address_is_not_limited_and_zero_is_no_limit(limit: int, address: str) -> None:
    limits = AddressLimits(limit, limit, Clock())
    for _ in range(200):
        limits.admit(address)
    limits.release(address)
