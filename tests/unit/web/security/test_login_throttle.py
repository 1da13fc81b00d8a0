"""How often an address may be wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personaplex_ui.web.security import login_throttle as failure_limit
from personaplex_ui.web.security.login_throttle import MOST, MOST_OF_NOBODY, WITHIN_SEC, LoginThrottle
from tests.support.clock import Clock

ADDRESS = "203.0.113.5"


@pytest.fixture
def clock() -> Clock:
    return Clock(1000.0)


@pytest.fixture
def limit(clock: Clock) -> LoginThrottle:
    return LoginThrottle(clock)


def test_ten_may_be_wrong_and_then_the_address_waits(limit: LoginThrottle, clock: Clock):
    for _ in range(MOST):
        assert limit.wait_sec(ADDRESS) == 0
        limit.add(ADDRESS)
    assert limit.wait_sec(ADDRESS) == WITHIN_SEC
    clock.now += 100.5
    assert limit.wait_sec(ADDRESS) == 200
    assert limit.wait_sec("203.0.113.6") == 0


def test_they_are_forgotten_one_by_one(limit: LoginThrottle, clock: Clock):
    for _ in range(MOST):
        limit.add(ADDRESS)
        clock.now += 10
    clock.now = 1000 + WITHIN_SEC - 0.5
    assert limit.wait_sec(ADDRESS) == 1
    clock.now = 1000 + WITHIN_SEC
    assert limit.wait_sec(ADDRESS) == 0
    limit.add(ADDRESS)
    assert limit.wait_sec(ADDRESS) == 10


def test_slow_failures_never_add_up(limit: LoginThrottle, clock: Clock):
    for _ in range(100):
        limit.add(ADDRESS)
        clock.now += WITHIN_SEC / (MOST - 1)
        assert limit.wait_sec(ADDRESS) == 0


def test_those_without_an_address_share_a_larger_limit(limit: LoginThrottle):
    for _ in range(MOST_OF_NOBODY):
        assert limit.wait_sec("") == 0
        limit.add("")
    assert limit.wait_sec("") > 0
    assert limit.wait_sec(ADDRESS) == 0


def test_only_so_many_addresses_are_remembered(
    limit: LoginThrottle, clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(failure_limit, "MOST_ADDRESSES", 50)
    for number in range(1000):
        limit.add(str(number))
    assert len(limit) == 50
    clock.now += WITHIN_SEC
    limit.add(ADDRESS)
    assert len(limit) == 1


@given(st.lists(st.tuples(st.sampled_from(["", "a", "b"]), st.floats(0, 100)), max_size=300))
def test_no_address_is_ever_wrong_more_often_than_it_may(steps: list[tuple[str, float]]):
    clock = Clock(1000.0)
    limit = LoginThrottle(clock)
    counted: dict[str, list[float]] = {"": [], "a": [], "b": []}
    for address, pause_sec in steps:
        clock.now += pause_sec
        if not limit.wait_sec(address):
            limit.add(address)
            counted[address].append(clock.now)
    for address, times in counted.items():
        most = MOST if address else MOST_OF_NOBODY
        assert all(late - early >= WITHIN_SEC for early, late in zip(times, times[most:], strict=False))
