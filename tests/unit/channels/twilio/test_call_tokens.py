"""The token that lets one websocket become one call."""

import pytest

from personaplex_ui.channels.twilio import call_tokens
from personaplex_ui.channels.twilio.call_tokens import CallTokens, TokenRefused
from tests.support.clock import Clock

VALUES = {"voice_prompt": "NATF2", "text_prompt": "You work for “Smith & Sons”.", "call_sid": "CA1"}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(clock: Clock) -> CallTokens:
    return CallTokens(b"k" * 32, clock)


def test_each_token_is_redeemed_once(tokens: CallTokens) -> None:
    first, second = tokens.issue(VALUES), tokens.issue(VALUES)
    tokens.redeem(first, dict(reversed(VALUES.items())))
    with pytest.raises(TokenRefused, match="already used"):
        tokens.redeem(first, VALUES)
    tokens.redeem(second, VALUES)


@pytest.mark.parametrize(
    "changed",
    [
        VALUES | {"voice_prompt": "NATM1"},
        VALUES | {"text_prompt": ""},
        VALUES | {"call_sid": "CA2"},
        VALUES | {"more": ""},
        {"voice_prompt": "NATF2"},
        {},
        # What a mere concatenation would not tell apart:
        {"voice_prompt": "NATF", "text_prompt": "2" + VALUES["text_prompt"], "call_sid": "CA1"},
    ],
)
def test_other_values_are_refused_and_do_not_use_it_up(tokens: CallTokens, changed: dict[str, str]) -> None:
    token = tokens.issue(VALUES)
    with pytest.raises(TokenRefused, match="does not fit"):
        tokens.redeem(token, changed)
    tokens.redeem(token, VALUES)


def test_it_holds_for_a_minute(tokens: CallTokens, clock: Clock) -> None:
    punctual, late = tokens.issue(VALUES), tokens.issue(VALUES)
    clock.now += 60.0
    tokens.redeem(punctual, VALUES)
    clock.now += 1.0
    with pytest.raises(TokenRefused, match="over a minute old"):
        tokens.redeem(late, VALUES)


def test_no_part_of_it_can_be_changed(tokens: CallTokens, clock: Clock) -> None:
    expires, nonce, signature = tokens.issue(VALUES).split(".")
    clock.now += 61.0
    for forged in (
        f"{int(expires) + 60}.{nonce}.{signature}",
        f"{int(expires) + 60}.{'A' * 22}.{signature}",
        f"{expires}.{nonce}.{'0' * 64}",
        CallTokens(b"another server's key", clock).issue(VALUES),
    ):
        with pytest.raises(TokenRefused, match="does not fit"):
            tokens.redeem(forged, VALUES)


@pytest.mark.parametrize("token", ["", ".", "..", "a.b.c", "1" * 5_000, "٣." + "A" * 22 + "." + "0" * 64])
def test_what_has_not_even_the_form_is_refused(tokens: CallTokens, token: str) -> None:
    with pytest.raises(TokenRefused, match="no valid token"):
        tokens.redeem(token, VALUES)


def test_used_ones_are_remembered_until_they_expire_up_to_a_limit(
    tokens: CallTokens, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_tokens, "MOST_USED", 3)
    for _ in range(3):
        tokens.redeem(tokens.issue(VALUES), VALUES)
    with pytest.raises(TokenRefused, match="Too many calls"):
        tokens.redeem(tokens.issue(VALUES), VALUES)
    clock.now += 61.0
    tokens.redeem(tokens.issue(VALUES), VALUES)
