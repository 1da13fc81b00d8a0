"""Guessing from many addresses, or from many claimed ones: a total limit besides the one for each address."""

import pytest

from personaplex_ui.web.security.login_throttle import MOST_IN_ALL, WITHIN_SEC, LoginThrottle
from tests.support.clock import Clock
from tests.support.protected_app import API_KEY, IN_QUERY, ProtectedApp, bearer, cookie, log_in


@pytest.fixture
def protected() -> ProtectedApp:
    return ProtectedApp()


async def guess(protected: ProtectedApp) -> list[int]:
    """Statuses of 60 wrong passwords, each from another address that a client claims and a proxy believes."""
    async with protected.client("127.0.0.1") as client:
        claimed = [{"X-Forwarded-For": f"198.51.100.{number}"} for number in range(60)]
        answers = [await client.get("/page?password=wrong", headers=headers) for headers in claimed]
    return [answer.status_code for answer in answers]


async def test_after_fifty_neither_guesses_nor_right_ones_of_strangers_are_looked_at(protected: ProtectedApp):
    assert await guess(protected) == [401] * MOST_IN_ALL + [429] * (60 - MOST_IN_ALL)
    answer = await log_in(protected)
    assert (answer.status_code, int(answer.headers["retry-after"]) > 0) == (429, True)
    assert "your network" not in answer.json()["detail"]
    async with protected.client("203.0.113.77") as client:  # nobody can guess the key
        assert (await client.get("/page", headers=bearer(API_KEY))).status_code == 200
        assert (await client.get(f"/page?{IN_QUERY}")).status_code == 429
    protected.clock.now += WITHIN_SEC
    assert (await log_in(protected)).status_code == 200


async def test_who_is_in_stays_in_and_who_came_in_before_comes_in_again(protected: ProtectedApp):
    """Whatever others do, and however long."""
    inside = await cookie(protected)
    for _ in range(5):
        await guess(protected)
        async with protected.client() as client:
            assert (await client.get("/page", headers=inside)).status_code == 200
        assert (await log_in(protected)).status_code == 200
        assert (await log_in(protected, "wrong")).status_code == 400
        protected.clock.now += WITHIN_SEC


def test_the_total_is_of_all_known_addresses_and_one_does_not_spend_it():
    throttle = LoginThrottle(Clock())
    for _ in range(10):
        throttle.add("192.0.2.1")
    assert (throttle.wait_sec("192.0.2.1") > 0, throttle.wait_sec("192.0.2.2")) == (True, 0)
    for number in range(MOST_IN_ALL - 10):
        assert throttle.wait_sec("203.0.113.1") == 0
        throttle.add(f"198.51.100.{number}")
    assert throttle.wait_sec("203.0.113.1") > 0
    assert throttle.wait_sec("") == 0  # those whose address is unknown have a limit of their own


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("personaplex_ui.sliding_window.MOST_KEYS", 3)
    throttle = LoginThrottle(Clock())
    for number in range(5):
        throttle.spare(f"192.0.2.{number}")
    for number in range(MOST_IN_ALL):
        throttle.add(f"198.51.100.{number}")
    waits = [throttle.wait_sec(f"192.0.2.{number}") > 0 for number in range(5)]
    assert waits == [True, True, False, False, False]
