"""Guessing from many addresses, or from many claimed ones: a total limit besides the one for each address."""

import pytest

from personaplex_ui.web.security.login_throttle import MOST_IN_ALL, WITHIN_SEC, LoginThrottle
from tests.support.clock import Clock
from tests.support.protected_app import API_KEY, IN_QUERY, ProtectedApp, bearer, cookie, log_in


@pytest.fixture
def protected() -> ProtectedApp:
    return ProtectedApp()


async def guess(protected: ProtectedApp, count: int, network: str = "198.51.{}.{}") -> list[int]:
    """Statuses of wrong passwords, each from another address, as a client claims it that nginx believes."""
    statuses: list[int] = []
    async with protected.client("127.0.0.1") as client:
        for number in range(count):
            claimed = network.format(number // 250, number % 250)
            answer = await client.get("/page?password=wrong", headers={"X-Forwarded-For": claimed})
            statuses.append(answer.status_code)
    return statuses


async def test_sixty_guesses_are_not_looked_at(protected: ProtectedApp):
    statuses = await guess(protected, 60)
    assert statuses == [401] * MOST_IN_ALL + [429] * (60 - MOST_IN_ALL)


async def test_nor_a_right_one_then_from_an_unknown_address(protected: ProtectedApp):
    await guess(protected, 60)
    answer = await log_in(protected)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    assert "your network" not in answer.json()["detail"]


async def test_who_is_in_stays_in(protected: ProtectedApp):
    inside = await cookie(protected)
    await guess(protected, 60)
    async with protected.client() as client:
        assert (await client.get("/page", headers=inside)).status_code == 200


async def test_who_came_in_before_comes_in_again(protected: ProtectedApp):
    """Whatever others do, and however long."""
    assert (await log_in(protected)).status_code == 200
    for _ in range(5):
        await guess(protected, 60)
        assert (await log_in(protected)).status_code == 200
        assert (await log_in(protected, "wrong")).status_code == 400
        protected.clock.now += WITHIN_SEC


async def test_a_key_nobody_can_guess_comes_in(protected: ProtectedApp):
    await guess(protected, 60)
    async with protected.client("203.0.113.77") as client:
        assert (await client.get("/page", headers=bearer(API_KEY))).status_code == 200
        assert (await client.get(f"/page?{IN_QUERY}")).status_code == 429


async def test_guessing_goes_on_slowly_and_everybody_waits_no_longer(protected: ProtectedApp):
    await guess(protected, 60)
    protected.clock.now += WITHIN_SEC
    assert (await log_in(protected)).status_code == 200


async def test_websockets_count_too(protected: ProtectedApp):
    limit = LoginThrottle(Clock())
    for number in range(MOST_IN_ALL):
        assert limit.wait_sec("203.0.113.1") == 0
        limit.add(f"192.0.2.{number}")
    assert limit.wait_sec("203.0.113.1") > 0
    assert limit.wait_sec("") == 0  # those whose address is unknown have a limit of their own


def test_one_address_does_not_spend_it_for_all():
    limit = LoginThrottle(Clock())
    for _ in range(10):
        limit.add("192.0.2.1")
    assert (limit.wait_sec("192.0.2.1") > 0, limit.wait_sec("192.0.2.2")) == (True, 0)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("personaplex_ui.sliding_window.MOST_KEYS", 3)
    limit = LoginThrottle(Clock())
    for number in range(5):
        limit.spare(f"192.0.2.{number}")
    for number in range(MOST_IN_ALL):
        limit.add(f"198.51.100.{number}")
    assert [limit.wait_sec(f"192.0.2.{number}") > 0 for number in range(5)] == [
        True,
        True,
        False,
        False,
        False,
    ]
