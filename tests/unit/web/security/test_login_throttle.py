"""How often an address may be wrong. What a window forgets, and when: ``test_sliding_window.py``."""

import pytest

from personaplex_ui.web.security.login_throttle import MOST, MOST_OF_UNKNOWN, WITHIN_SEC, LoginThrottle
from tests.support.clock import Clock

ADDRESS, OTHER = "203.0.113.5", "203.0.113.6"


@pytest.mark.parametrize(("address", "most", "other"), [(ADDRESS, MOST, OTHER), ("", MOST_OF_UNKNOWN, OTHER)])
def test_so_many_may_be_wrong_and_then_the_address_waits(address: str, most: int, other: str):
    clock = Clock(1000.0)
    throttle = LoginThrottle(clock)
    for _ in range(most):
        assert throttle.wait_sec(address) == 0
        throttle.add(address)
    assert throttle.wait_sec(address) == WITHIN_SEC
    clock.now += 100.5
    assert throttle.wait_sec(address) == 200
    assert throttle.wait_sec(other) == 0
    clock.now += 199.5
    assert throttle.wait_sec(address) == 0
