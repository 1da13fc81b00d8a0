"""Cookies that several servers with one password know."""

import pytest

from personaplex_ui.web.security.credentials import Credentials
from personaplex_ui.web.security.signed_cookies import SignedCookies
from tests.support.clock import Clock

KEEP_SEC = 3600.0


@pytest.fixture
def clock() -> Clock:
    return Clock(1_700_000_000.0)


def server(clock: Clock, password: bytes = b"open sesame") -> SignedCookies:
    return SignedCookies(password, KEEP_SEC, clock)


def test_what_one_server_gives_the_others_know_until_it_expires(clock: Clock) -> None:
    first, second, other = server(clock), server(clock), server(clock, b"another password")
    value = first.new()
    assert value != first.new()
    assert second.is_valid(value)
    assert not other.is_valid(value)
    clock.now += KEEP_SEC
    assert not second.is_valid(value)


def test_what_was_changed_is_worth_nothing(clock: Clock) -> None:
    cookies = server(clock)
    expires, nonce, signature = cookies.new().split(".")
    later = str(int(expires) + 1)
    for forged in (
        f"{later}.{nonce}.{signature}",
        f"{expires}.{nonce[::-1]}.{signature}",
        f"{expires}.{nonce}.{signature[::-1]}",
        f"{expires}.{nonce}",
        "",
        "ä" * 100,
    ):
        assert not cookies.is_valid(forged)


def test_a_revoked_one_is_forgotten_here(clock: Clock) -> None:
    cookies = server(clock)
    value, kept = cookies.new(), cookies.new()
    cookies.revoke(value)
    cookies.revoke("nonsense")
    assert (cookies.is_valid(value), cookies.is_valid(kept)) == (False, True)


def test_a_login_counts_at_each_server(clock: Clock) -> None:
    first, second = (Credentials("open sesame", None, clock, server(clock)) for _ in range(2))
    value = first.new_cookie()
    assert (first.is_cookie(value), second.is_cookie(value)) == (True, True)
    second.revoke_cookie(value)
    assert not second.is_cookie(value)
    alone = Credentials("open sesame", None, clock)
    assert not alone.is_cookie(value)
